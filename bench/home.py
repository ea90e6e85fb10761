"""A home folder with users who have each connected GitHub, made by the program's own functions.

Prints `[[instance, token], …]`. Takes its settings from the environment, as the web server does.
"""

import json
from datetime import timedelta
from uuid import uuid4

from mcpweb import clock, migrating
from mcpweb.accounts.models import Role, User
from mcpweb.application import create_app
from mcpweb.catalog import checking
from mcpweb.database import db, transaction
from mcpweb.instances import creation, registration
from mcpweb.instances.house import House

USERS = 4
"""One alone may not have as many calls at once as the measurements need."""


def make() -> list[tuple[str, str]]:
    """Set the home up and open an endpoint for each user."""
    app = create_app()
    house: House = app.extensions["mcpweb_house"]
    with app.app_context():
        migrating.upgrade()
        registration.register(house.registry)
        return [_connected(house, f"user{number}@example.com") for number in range(USERS)]


def _connected(house: House, email: str) -> tuple[str, str]:
    owner = User(email=email, role=Role.USER, created_at=clock.utcnow())
    with transaction():
        db.session.add(owner)
    github = house.registry.services["github"]
    credential = {"token": f"ghp_{'a' * 36}"}
    checked = checking.check(github, credential, house.client)
    wish = creation.Wish("Bench", credential, clock.utcnow() + timedelta(days=1), uuid4())
    instance, token = creation.create(owner, github, wish, checked, house.keyring, 10)
    return str(instance.id), token


if __name__ == "__main__":
    print(json.dumps(make()))
