"""What the pretended GitHub sends: an issue of about 2 KB, with as many headers as the real one has."""

import json

_PERSON = {
    "login": "alice",
    "id": 1001,
    "node_id": "MDQ6VXNlcjEwMDE=",
    "type": "User",
    "site_admin": False,
    "avatar_url": "https://avatars.example.com/u/1001?v=4",
    "url": "https://api.example.com/users/alice",
    "html_url": "https://example.com/alice",
}
_REPOSITORY = "https://api.example.com/repos/alice/garden"

ISSUE = json.dumps(
    {
        "id": 90001,
        "node_id": "I_kwDOAAABNc4AAAAB",
        "number": 7,
        "title": "The gate does not close when it rains",
        "state": "open",
        "locked": False,
        "url": f"{_REPOSITORY}/issues/7",
        "repository_url": _REPOSITORY,
        "labels_url": f"{_REPOSITORY}/issues/7/labels{{/name}}",
        "comments_url": f"{_REPOSITORY}/issues/7/comments",
        "events_url": f"{_REPOSITORY}/issues/7/events",
        "html_url": "https://example.com/alice/garden/issues/7",
        "user": _PERSON,
        "assignee": _PERSON,
        "labels": [
            {"id": n, "name": name, "color": "cc0000", "default": False} for n, name in enumerate(("bug", "rain"))
        ],
        "comments": 3,
        "created_at": "2026-05-01T08:00:00Z",
        "updated_at": "2026-05-02T09:30:00Z",
        "closed_at": None,
        "author_association": "OWNER",
        "body": "Steps: open the gate, wait for rain, let go of it. It stops a hand's width short. " * 8,
    }
).encode()

USER = json.dumps({**_PERSON, "name": "Alice"}).encode()

_HEADERS = """Server: bench
Date: Mon, 23 Nov 2026 08:00:00 GMT
Content-Type: application/json; charset=utf-8
Cache-Control: private, max-age=60, s-maxage=60
Vary: Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With
ETag: W/"6f2a1cd0e6b1f7c0a3c1b2d9"
X-OAuth-Scopes: repo
X-Accepted-OAuth-Scopes:
X-GitHub-Media-Type: github.v3; format=json
X-GitHub-Api-Version-Selected: 2022-11-28
X-RateLimit-Limit: 5000
X-RateLimit-Remaining: 4999
X-RateLimit-Reset: 1795420800
X-RateLimit-Used: 1
X-RateLimit-Resource: core
Access-Control-Expose-Headers: ETag, Link, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining
Access-Control-Allow-Origin: *
Strict-Transport-Security: max-age=31536000; includeSubdomains; preload
X-Frame-Options: deny
X-Content-Type-Options: nosniff
X-XSS-Protection: 0
Referrer-Policy: origin-when-cross-origin, strict-origin-when-cross-origin
Content-Security-Policy: default-src 'none'
X-GitHub-Request-Id: C0DE:1234:5678:9ABC:DEF01234"""


def reply(body: bytes) -> bytes:
    """A whole HTTP answer around the body."""
    head = f"HTTP/1.1 200 OK\n{_HEADERS}\nContent-Length: {len(body)}\n\n"
    return head.replace("\n", "\r\n").encode() + body
