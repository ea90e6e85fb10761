"""life, logs and jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "job_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("trigger", sa.String(length=10), nullable=False),
        sa.Column("by_whom", sa.String(length=254), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("items", sa.Integer(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_run")),
    )
    op.create_index("ix_job_run_job", "job_run", ["job", "id"], unique=False)

    op.create_table(
        "key_check",
        sa.Column("key_id", sa.String(length=20), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_check")),
    )
    op.create_table(
        "log_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("indexed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_file")),
        sa.UniqueConstraint("host", "name", name="uq_log_file_host"),
    )
    op.create_table(
        "log_rollup",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("level", sa.String(length=10), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "host", "category", "level", name=op.f("pk_log_rollup")),
    )
    op.create_table(
        "schedule",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("every_s", sa.Integer(), nullable=True),
        sa.Column("at_time", sa.String(length=5), nullable=True),
        sa.Column("timezone", sa.String(length=60), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("last_slot", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_by", sa.String(length=254), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_schedule")),
    )
    op.create_table(
        "usage_rollup",
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tool", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=12), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("upstream_ms", sa.BigInteger(), nullable=False),
        sa.Column("ms_10", sa.Integer(), nullable=False),
        sa.Column("ms_25", sa.Integer(), nullable=False),
        sa.Column("ms_50", sa.Integer(), nullable=False),
        sa.Column("ms_100", sa.Integer(), nullable=False),
        sa.Column("ms_250", sa.Integer(), nullable=False),
        sa.Column("ms_500", sa.Integer(), nullable=False),
        sa.Column("ms_1000", sa.Integer(), nullable=False),
        sa.Column("ms_2500", sa.Integer(), nullable=False),
        sa.Column("ms_5000", sa.Integer(), nullable=False),
        sa.Column("ms_10000", sa.Integer(), nullable=False),
        sa.Column("ms_more", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", "hour", "tool", "host", name=op.f("pk_usage_rollup")),
    )
    op.create_index("ix_usage_rollup_hour", "usage_rollup", ["hour"], unique=False)

    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name=op.f("fk_notice_instance_id_instance"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["user.id"], name=op.f("fk_notice_owner_id_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index(op.f("ix_notice_instance_id"), "notice", ["instance_id"], unique=False)
    op.create_index(op.f("ix_notice_owner_id"), "notice", ["owner_id"], unique=False)
    op.create_index(op.f("ix_notice_sent_at"), "notice", ["sent_at"], unique=False)

    op.add_column("instance", sa.Column("credential_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("instance", sa.Column("credential_failures", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("instance", sa.Column("credential_refusals", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("instance", sa.Column("keeps_arguments", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("instance", sa.Column("reminded_days", sa.Integer(), nullable=True))
    op.add_column("instance", sa.Column("usage_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("instance", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("instance", sa.Column("stopped_reason", sa.String(length=300), nullable=False, server_default=""))
    op.create_index(op.f("ix_instance_credential_due_at"), "instance", ["credential_due_at"], unique=False)

    op.create_index("ix_instance_status_expires_at", "instance", ["status", "expires_at"], unique=False)
    op.drop_index(op.f("ix_instance_expires_at"), table_name="instance")

    op.add_column("instance_token", sa.Column("last_client", sa.String(length=200), nullable=False, server_default=""))
    op.add_column("service", sa.Column("is_stopped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("service", sa.Column("definitions", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("service", sa.Column("definitions_before", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("service", "definitions_before")
    op.drop_column("service", "definitions")
    op.drop_column("service", "is_stopped")
    op.drop_column("instance_token", "last_client")

    op.create_index(op.f("ix_instance_expires_at"), "instance", ["expires_at"], unique=False)
    op.drop_index("ix_instance_status_expires_at", table_name="instance")
    op.drop_index(op.f("ix_instance_credential_due_at"), table_name="instance")
    op.drop_column("instance", "stopped_reason")
    op.drop_column("instance", "last_used_at")
    op.drop_column("instance", "usage_count")
    op.drop_column("instance", "reminded_days")
    op.drop_column("instance", "keeps_arguments")
    op.drop_column("instance", "credential_refusals")
    op.drop_column("instance", "credential_failures")
    op.drop_column("instance", "credential_due_at")

    op.drop_index(op.f("ix_notice_sent_at"), table_name="notice")
    op.drop_index(op.f("ix_notice_owner_id"), table_name="notice")
    op.drop_index(op.f("ix_notice_instance_id"), table_name="notice")

    op.drop_table("notice")
    op.drop_index("ix_usage_rollup_hour", table_name="usage_rollup")

    op.drop_table("usage_rollup")
    op.drop_table("schedule")
    op.drop_table("log_rollup")
    op.drop_table("log_file")
    op.drop_table("key_check")
    op.drop_index("ix_job_run_job", table_name="job_run")

    op.drop_table("job_run")
