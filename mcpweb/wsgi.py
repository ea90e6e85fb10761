"""The web application as an installed package offers it: `mcpweb.wsgi:application`."""

import os

from mcpweb.application import create_app
from mcpweb.logs import events
from mcpweb.tracing import traced

events.last_words()
application = create_app()
application.wsgi_app = traced(application.wsgi_app, os.environ)  # type: ignore[method-assign, assignment]
