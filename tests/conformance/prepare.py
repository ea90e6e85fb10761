"""A program: migrates the installation that the environment describes, opens an instance, prints path and token."""

import json
from datetime import timedelta
from uuid import uuid4

from mcpweb import clock, migrating
from mcpweb.accounts.models import Role, User
from mcpweb.application import create_app
from mcpweb.database import db, transaction
from mcpweb.instances import creation, registration
from mcpweb.instances.house import house


def main() -> None:
    """Open the instance without asking the service, which does not exist."""
    with create_app().app_context():
        migrating.upgrade()
        registration.register(house().registry)
        with transaction():
            owner = User(email="alice@example.com", role=Role.USER, created_at=clock.utcnow())
            db.session.add(owner)
        wish = creation.Wish("Conformance", {"token": "unused"}, clock.utcnow() + timedelta(days=1), uuid4())
        service = house().registry.services["conformance"]
        instance, token = creation.create(owner, service, wish, None, house().keyring, 1)
        print(json.dumps({"path": f"/mcp/{instance.id}", "token": token}))


if __name__ == "__main__":
    main()
