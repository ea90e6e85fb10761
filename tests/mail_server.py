"""A real SMTP receiver on loopback that keeps what it gets and can be told to misbehave."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import socket
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mail:
    """One mail as the server got it."""

    to: list[str]
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    def part(self, kind: str) -> str:
        """The text of the `plain` or `html` part."""
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())

    @property
    def link(self) -> str:
        """The path of the sign-in link in it."""
        found = re.search(r"^https?://[^/\s]+(/sign-in/\S+)\s*$", self.part("plain"), re.MULTILINE)
        assert found, self.part("plain")
        return found[1]

    @property
    def code(self) -> str:
        """The code to type."""
        found = re.search(r"^([A-Z0-9]{4}-[A-Z0-9]{4})\s*$", self.part("plain"), re.MULTILINE)
        assert found, self.part("plain")
        return found[1]


class MailServer:
    """Start it with `with`; `answer` replaces the usual `250 OK` to a whole mail, for some addresses or for all.

    "hang" never answers, "close" cuts the connection.
    """

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.answer = "250 OK"
        self.answers: dict[str, str] = {}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.answers.get(envelope.rcpt_tos[0], self.answer)
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer == "close":
            server.transport.abort()
        if answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append(Mail(list(envelope.rcpt_tos), message))
        return answer

    @property
    def host(self) -> str:
        return "127.0.0.1"

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()
