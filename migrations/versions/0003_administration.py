"""policies, hosts, traffic by the minute, alerts, exports, saved searches and stops."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    _policies()
    _hosts()
    _installation()
    _traffic()
    _alerts()
    _exports_and_searches()
    _stops()
    _closure()
    _compatibility()


def downgrade() -> None:
    """Take back."""
    op.drop_table("compatibility")
    op.drop_table("closure")
    _without_stops()
    _without_exports_and_searches()
    _without_alerts()
    op.drop_index("ix_traffic_minute_minute", table_name="traffic_minute")
    op.drop_table("traffic_minute")
    _without_installation()
    op.drop_index("ix_resource_sample_at", table_name="resource_sample")
    op.drop_table("resource_sample")
    op.drop_table("host_role")
    op.drop_table("policy")


def _policies() -> None:
    op.create_table(
        "policy",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=254), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_policy")),
    )


def _closure() -> None:
    op.create_table(
        "closure",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("message", sa.String(length=300), nullable=False),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("by_whom", sa.String(length=254), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closure")),
    )


def _compatibility() -> None:
    """The oldest program that may serve on these tables: here the first one that looks at this."""
    told = op.create_table(
        "compatibility",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compatibility")),
    )
    op.bulk_insert(told, [{"id": 1, "oldest": "0003"}])


def _hosts() -> None:
    op.create_table(
        "host_role",
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock_offset_ms", sa.Integer(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("host", "role", "process", name=op.f("pk_host_role")),
    )
    op.create_table(
        "resource_sample",
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cpu_percent", sa.Float(), nullable=False),
        sa.Column("memory_used", sa.BigInteger(), nullable=False),
        sa.Column("memory_total", sa.BigInteger(), nullable=False),
        sa.Column("disk_used", sa.BigInteger(), nullable=False),
        sa.Column("disk_total", sa.BigInteger(), nullable=False),
        sa.Column("open_files", sa.Integer(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
        sa.Column("index_behind", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", "at", name=op.f("pk_resource_sample")),
    )
    op.create_index("ix_resource_sample_at", "resource_sample", ["at"], unique=False)


def _installation() -> None:
    op.create_table(
        "installation_sample",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("admins", sa.Integer(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("active_instances", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=True),
        sa.Column("cache_hits", sa.Integer(), nullable=False),
        sa.Column("cache_misses", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("minute", name=op.f("pk_installation_sample")),
    )
    op.create_table(
        "part_state",
        sa.Column("part", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("part", name=op.f("pk_part_state")),
    )


def _without_installation() -> None:
    op.drop_table("part_state")
    op.drop_table("installation_sample")


def _traffic() -> None:
    buckets = ("10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "more")
    op.create_table(
        "traffic_minute",
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("service", sa.String(length=31), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("upstream_errors", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False, server_default="0"),
        *(sa.Column(f"ms_{bucket}", sa.Integer(), nullable=False) for bucket in buckets),
        sa.PrimaryKeyConstraint("host", "minute", "service", name=op.f("pk_traffic_minute")),
    )
    op.create_index("ix_traffic_minute_minute", "traffic_minute", ["minute"], unique=False)


def _alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=254), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_alert_open", "alert", ["rule", "subject"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("ix_alert_closed_at", "alert", ["closed_at"], unique=False)
    op.create_table(
        "alert_watch",
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("place", sa.String(length=120), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("note", sa.String(length=120), nullable=False),
        sa.Column("broken", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("rule", "subject", name=op.f("pk_alert_watch")),
    )
    op.create_table(
        "alert_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name=op.f("fk_alert_message_alert_id_alert"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_message")),
    )
    op.create_index("ix_alert_message_alert_id", "alert_message", ["alert_id"], unique=False)
    op.create_index("ix_alert_message_sent_at", "alert_message", ["sent_at"], unique=False)


def _without_alerts() -> None:
    op.drop_index("ix_alert_message_sent_at", table_name="alert_message")
    op.drop_index("ix_alert_message_alert_id", table_name="alert_message")
    op.drop_table("alert_message")
    op.drop_table("alert_watch")
    op.drop_index("ix_alert_closed_at", table_name="alert")
    op.drop_index("uq_alert_open", table_name="alert")
    op.drop_table("alert")


def _exports_and_searches() -> None:
    """Exports of the log, and searches that were saved."""
    op.create_table(
        "log_export",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=5), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_log_export_user_id_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_export")),
    )
    op.create_index("ix_log_export_user_id", "log_export", ["user_id"], unique=False)
    op.create_table(
        "saved_search",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_saved_search_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_search")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_saved_search_user_id")),
    )
    op.create_table(
        "recent_search",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_recent_search_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_recent_search")),
    )


def _without_exports_and_searches() -> None:
    """Exports of the log, and searches that were saved."""
    op.drop_table("recent_search")
    op.drop_table("saved_search")
    op.drop_index("ix_log_export_user_id", table_name="log_export")
    op.drop_table("log_export")


def _stops() -> None:
    """Stops of a user, a service or everything."""
    op.create_table(
        "stop",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("service_name", sa.String(length=31), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.String(length=254), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(length=254), nullable=False),
        sa.ForeignKeyConstraint(["service_name"], ["service.name"], name=op.f("fk_stop_service_name_service")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_stop_user_id_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stop")),
    )
    op.create_index(op.f("ix_stop_ends_at"), "stop", ["ends_at"], unique=False)


def _without_stops() -> None:
    """Stops of a user, a service or everything."""
    op.drop_index(op.f("ix_stop_ends_at"), table_name="stop")
    op.drop_table("stop")
