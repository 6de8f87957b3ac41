"""The address of a PostgreSQL database, read without a driver: whether it is whole, and what of it may be shown."""

import re
from typing import Final

from .errors import ConfigurationError

SCHEMES: Final = ("postgresql://", "postgres://")

# What is nowhere in it; '@' is, once, after the password: a further one is the end of a password that was broken off.
_BAD = r"#@\x00-\x20\x7f"
_HOST = r"(?:%2[Ff][\w.%-]+|(?!%2[Ff])[\w%-]{1,63}(?:\.[\w%-]{1,63})*\.?|\[[\w:.%]+\])"
_PORT = r"(?::\d{0,5})?"
_HOSTS = rf"(?P<hosts>(?:{_HOST}{_PORT}(?:,{_HOST}{_PORT})*|{_PORT}))"
_ADDRESS = re.compile(
    rf"postgres(?:ql)?://(?:[^/?\[\]{_BAD}]*@)?(?P<shown>{_HOSTS}(?:/[^/?{_BAD}]*)?)(?:\?[^{_BAD}]*)?", re.ASCII
)
_PORTS = re.compile(r":(\d+)(?=,|$)", re.ASCII)
_MOST_PORT = 65_535


def checked_dsn(text: object) -> str:
    """Return an address that is whole.

    Raises:
        ConfigurationError: It is none, or a password breaks it off. It is not quoted.
    """
    found = _read(text)
    if found is not None:
        return found.string
    msg = (
        "a PostgreSQL database is named by postgresql://user:password@host:5432/database, or given as an asyncpg pool;"
        " in a password '#', '/', '?', '@', ':', brackets and blanks are percent-encoded"
    )
    raise ConfigurationError(msg)


def shown_dsn(text: str) -> str:
    """Return what of an address may be shown: host, port and database; never who logs in, or an option."""
    found = _read(text)
    return f"postgresql://{found['shown'] if found else '…'}"


def _read(text: object) -> "re.Match[str] | None":
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    is_whole = found is not None and all(int(port) <= _MOST_PORT for port in _PORTS.findall(found["hosts"]))
    return found if is_whole else None
