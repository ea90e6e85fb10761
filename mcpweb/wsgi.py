"""The web application as an installed package offers it: `mcpweb.wsgi:application`."""

from mcpweb.application import create_app
from mcpweb.logs import events

events.last_words()
application = create_app()
