"""A home folder with a user and a connected GitHub, and another with Figma, made by the program's own functions.

Prints `{"instance": …, "token": …, "other_instance": …, "other_token": …}`. Takes its settings from the
environment, as the web server does.
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


def make() -> dict[str, str]:
    """Set the home up and open an endpoint in it."""
    app = create_app()
    house: House = app.extensions["mcpweb_house"]
    with app.app_context():
        migrating.upgrade()
        registration.register(house.registry)
        owner = User(email="alice@example.com", role=Role.USER, created_at=clock.utcnow())
        with transaction():
            db.session.add(owner)
        github = house.registry.services["github"]
        credential = {"token": f"ghp_{'a' * 36}"}
        checked = checking.check(github, credential, house.client)
        wish = creation.Wish("Bench", credential, clock.utcnow() + timedelta(days=1), uuid4())
        instance, token = creation.create(owner, github, wish, checked, house.keyring, 10)
        return {"instance": str(instance.id), "token": token, **_figma(house)}


def _figma(house: House) -> dict[str, str]:
    """Somebody else's endpoint for another service, which is not asked for anything yet."""
    bob = User(email="bob@example.com", role=Role.USER, created_at=clock.utcnow())
    with transaction():
        db.session.add(bob)
    wish = creation.Wish("Hangs", {"token": f"figd_{'a' * 40}"}, clock.utcnow() + timedelta(days=1), uuid4())
    instance, token = creation.create(bob, house.registry.services["figma"], wish, None, house.keyring, 10)
    return {"other_instance": str(instance.id), "other_token": token}


if __name__ == "__main__":
    print(json.dumps(make()))
