"""The web application as an installed package offers it: `mcpweb.wsgi:application`."""

from mcpweb.application import create_app

application = create_app()
