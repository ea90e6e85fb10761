"""The Flask extensions, made once and bound to the application by `create_app`."""

from __future__ import annotations

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_mail import Mail
from flask_wtf import CSRFProtect

csrf = CSRFProtect()
login_manager = LoginManager()
mail = Mail()
limiter = Limiter(
    get_remote_address,
    strategy="sliding-window-counter",
    in_memory_fallback_enabled=True,
    headers_enabled=True,
    key_prefix="mcpweb",
)
