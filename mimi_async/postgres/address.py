"""Where a database is. An address holds a password: only a part of it is shown."""

from typing import Any, Final

import asyncpg

from ..dsn import checked_dsn, shown_dsn

CONNECT_SECONDS: Final = 5.0
"""How long to wait for a new connection."""


class Address:
    """The address of a database, `postgresql://user:password@host:5432/database`: its repr shows no user, no password.

    Raises:
        ConfigurationError: It is none.
    """

    __slots__ = ("_text", "extras")

    def __init__(self, text: str) -> None:
        self._text = checked_dsn(text)
        self.extras: dict[str, Any] = {"server_settings": {"application_name": "mimi-async"}}
        if "target_session_attrs" not in text:
            self.extras["target_session_attrs"] = "read-write"  # a replica that lags behind would say "nothing stored"

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    async def connect(self) -> asyncpg.Connection:
        """Return a connection that is the caller's own; its errors are the driver's."""
        return await asyncpg.connect(self._text, timeout=CONNECT_SECONDS, **self.extras)

    def __repr__(self) -> str:
        return shown_dsn(self._text)
