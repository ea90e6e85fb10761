"""Users, their sign-in links, and their sessions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mcpweb.database import Base, UTCDateTime


class Role(StrEnum):
    """What a user may do."""

    USER = "user"
    ADMIN = "admin"


class User(UserMixin, Base):  # type: ignore[misc]
    """A person, known by the address their sign-in links go to."""

    __tablename__ = "user"

    session_key = ""
    """The random id of the session that loaded this object; never stored."""

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    role: Mapped[str] = mapped_column(String(10), default=Role.USER)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def is_active(self) -> bool:
        """Whether the user may sign in and their endpoints answer (the name is Flask-Login's)."""
        return self.is_enabled

    def get_id(self) -> str:
        """What Flask-Login keeps in the cookie: the session's random id, so that ending the session ends the cookie."""
        return self.session_key

    @property
    def is_admin(self) -> bool:
        """Whether the user runs this installation."""
        return self.role == Role.ADMIN


class Purpose(StrEnum):
    """What a link in `user_token` is good for."""

    SIGN_IN = "sign-in"
    SET_UP = "set-up"
    INVITE = "invite"
    """An administrator had it mailed: nobody waits for it in a browser, so it lives longer."""


class UserToken(Base):
    """A sign-in link: only hashes are kept; used once, and only until its end."""

    __tablename__ = "user_token"
    __table_args__ = (Index("ix_user_token_address_key_created_at", "address_key", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(String(254))
    address_key: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(10), default=Role.USER)
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    code_tries: Mapped[int] = mapped_column(default=0)
    browser_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), index=True)
    next_path: Mapped[str] = mapped_column(String(500), default="")
    requested_ip: Mapped[str] = mapped_column(String(45), default="")
    requested_agent: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mail_tries: Mapped[int] = mapped_column(default=0)
    mailed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When it was mailed, or when it turned out that its address may not sign in."""


class UserSession(Base):
    """One signed-in browser. The cookie holds a random id, this row its hash; deleting the row signs out."""

    __tablename__ = "user_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    id_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ip: Mapped[str] = mapped_column(String(45), default="")
    agent: Mapped[str] = mapped_column(String(300), default="")
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
