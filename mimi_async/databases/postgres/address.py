"""The address of a database. It holds a password: only a part of it is shown."""

import uuid
from typing import Any

import asyncpg

from ..dsn import redact_dsn, validate_dsn


class Address:
    """The address of a database, `postgresql://user:password@host:5432/database`: its repr shows no user, no password.

    Raises:
        ConfigurationError: It is not a valid address.
    """

    __slots__ = ("_options", "_text")

    def __init__(self, text: str) -> None:
        self._text = validate_dsn(text)
        self._options: dict[str, Any] = {
            "server_settings": {"application_name": "mimi-async"},
            "connection_class": _UniquelyNamedConnection,
        }
        if "target_session_attrs" not in text:
            self._options["target_session_attrs"] = "read-write"  # a replica that lags would return "nothing stored"

    async def connect(self, timeout: float) -> asyncpg.Connection:
        """Return a new connection; its errors are the driver's."""
        return await asyncpg.connect(self._text, timeout=timeout, statement_cache_size=0, **self._options)

    async def create_pool(self, max_connections: int, timeout: float, **options: int) -> asyncpg.Pool:
        """Return a pool, which connects when it is used; its errors are the driver's."""
        return await asyncpg.create_pool(
            self._text,
            min_size=0,  # a minimum is connected in the background, where errors are only logged
            max_size=max_connections,
            timeout=timeout,
            reset=_keep_session,
            **self._options,
            **options,
        )

    def __repr__(self) -> str:
        return redact_dsn(self._text)


async def _keep_session(_: object) -> None:
    """Do nothing: no statement here changes the state of a session, so that no round trip has to reset it."""


class _UniquelyNamedConnection(asyncpg.Connection):  # type: ignore[misc]  # it carries no types
    """Names statements, portals and savepoints uniquely over all processes; the driver counts them in each process."""

    __slots__ = ()

    def _get_unique_id(self, prefix: str) -> str:
        return f"__asyncpg_{prefix}_{uuid.uuid4().hex}__"  # PostgreSQL keeps 63 characters
