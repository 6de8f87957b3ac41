"""A replica of a PostgreSQL."""

from pathlib import Path

from ...postgres_server import Postgres


class Standby(Postgres):
    """A hot standby: it holds what its primary held when it was created, is read-only, and receives no later change."""

    def __init__(self, primary: Postgres) -> None:
        super().__init__({"primary_conninfo": ""})
        self._primary = primary

    def _maker(self) -> list[str]:
        command = [self._program("pg_basebackup"), "-D", str(self._data), "-R", "--checkpoint=fast", "--no-sync"]
        return [*command, "-d", self._primary.dsn]


def demote(server: Postgres) -> None:
    """Let a server start again as one that only reads, until `SELECT pg_promote()`."""
    Path(server.folder / "data" / "standby.signal").touch()
    server.restart()
