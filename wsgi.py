"""The web application, for any WSGI server: `gunicorn -c deploy/gunicorn.conf.py wsgi:application`."""

from mcpweb.wsgi import application

__all__ = ["application"]
