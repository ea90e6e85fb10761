"""What the endpoint is compared with: a bare Flask route that makes the same GET and nothing else."""

import os
from urllib.parse import urlsplit

import requests
from flask import Flask, Response

from mcpweb.catalog.outgoing import Destinations, Outgoing

_URL = os.environ.get("BENCH_UPSTREAM", "") + "/repos/alice/garden/issues/7"
_HEADERS = {
    "Authorization": f"Bearer ghp_{'a' * 36}",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
}
_POOL = 512
"""Connections kept, more than there are threads."""


def on_requests() -> Flask:
    """(a): through a pooled `requests.Session`."""
    app = Flask("bare")
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=_POOL))

    @app.post("/mcp/<uuid:instance_id>")
    def call(instance_id: str) -> Response:
        reply = session.get(_URL, headers=_HEADERS, timeout=25)
        return app.response_class(reply.content, mimetype="application/json")

    return app


def on_outgoing() -> Flask:
    """(b): through the client of our own call path."""
    app = Flask("bare")
    client, to = Outgoing(), Destinations(hosts=(), private_hosts=(urlsplit(_URL).netloc,))

    @app.post("/mcp/<uuid:instance_id>")
    def call(instance_id: str) -> Response:
        reply = client.request("GET", _URL, to=to, headers=_HEADERS)
        return app.response_class(reply.body, mimetype="application/json")

    return app
