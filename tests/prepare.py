"""A program: migrates the installation that the environment describes, connects a service, prints paths and tokens.

`python -m tests.prepare SERVICE EMAIL…` opens an instance for each address, without asking the service for anything.
"""

import json
import sys
from datetime import timedelta
from uuid import uuid4

from mcpweb import clock, migrating
from mcpweb.accounts.models import Role, User
from mcpweb.application import create_app
from mcpweb.database import db, transaction
from mcpweb.instances import creation, registration
from mcpweb.instances.house import house


def main(service_name: str, *emails: str) -> None:
    """Print a line of JSON for each instance."""
    with create_app().app_context():
        migrating.upgrade()
        registration.register(house().registry)
        service = house().registry.services[service_name]
        credential = {field.name: "unused" for field in service.manifest.fields}
        for email in emails:
            with transaction():
                owner = User(email=email, role=Role.USER, created_at=clock.utcnow())
                db.session.add(owner)
            wish = creation.Wish("Work", credential, clock.utcnow() + timedelta(days=1), uuid4())
            instance, token = creation.create(owner, service, wish, None, house().keyring, 1)
            print(json.dumps({"path": f"/mcp/{instance.id}", "token": token}))


if __name__ == "__main__":
    main(*sys.argv[1:])
