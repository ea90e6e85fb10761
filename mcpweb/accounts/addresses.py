"""E-mail addresses: one spelling to store, and a coarser one to count by."""

from __future__ import annotations

from email.utils import parseaddr

from mcpweb.errors import InvalidInput

_MAX_TYPED = 320
"""RFC 3696, erratum 1690: 64 characters, @ and 255. More is not even looked at: IDNA takes its time."""
_FORBIDDEN = set(' ,;:<>()[]\\"')


def normalise(text: str) -> str:
    """The address as it is stored: trimmed, lower case, the domain in ASCII so that look-alikes stay apart.

    Raises:
        InvalidInput: it is not one plain mailbox of at most 254 characters.
    """
    address = text.strip()
    local, _, domain = address.rpartition("@")
    try:
        if len(address) > _MAX_TYPED:
            raise UnicodeError
        address = f"{local}@{domain.encode('idna').decode('ascii')}".lower()
    except UnicodeError:
        raise InvalidInput("This is not an e-mail address. It looks like name@example.com.") from None
    labels = domain.split(".")
    if (
        not address.isascii()
        or not address.isprintable()
        or _FORBIDDEN & set(address)
        or parseaddr(address)[1] != address
        or len(address) > 254
        or not 0 < len(local) <= 64
        or "@" in local
        or len(labels) < 2
        or not all(labels)
    ):
        raise InvalidInput("This is not an e-mail address. It looks like name@example.com.")
    return address


def counting_key(address: str) -> str:
    """What limits count by: dots and +tags of the local part reach the same person at many providers."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0].replace('.', '')}@{domain}"
