"""What the database holds of the administrators' pages: searches of the log that somebody keeps or made lately."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mcpweb.database import Base, UTCDateTime


class SavedSearch(Base):
    """A search under a name, for its owner or for all administrators."""

    __tablename__ = "saved_search"
    __table_args__ = (UniqueConstraint("user_id", "name", name="uq_saved_search_user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    address: Mapped[str] = mapped_column(Text)
    """The query of its address, without the question mark."""
    is_shared: Mapped[bool] = mapped_column(default=False)


class RecentSearch(Base):
    """A search that an administrator made lately; the same one twice is one."""

    __tablename__ = "recent_search"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the address, which may be longer than a key can be."""
    address: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
