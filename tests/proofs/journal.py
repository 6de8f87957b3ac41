"""A durable log: lines of JSON, each on the disk before `write` returns."""

import json
import os
from pathlib import Path
from typing import Any

from mimi_async import AnonymousId, AuthController, ErasedAnonymousIdError, MimiError, MimiUser

Line = dict[str, Any]


class Journal:
    """The updates and results of processes, in place of the partner's table.

    Args:
        path: The file; any number of processes may write to it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def write(self, account: str, event: str, user: MimiUser | None = None, error: str | None = None) -> None:
        """Append a line; it is on the disk when this returns."""
        line = {
            "account": account,
            "event": event,
            "user": user and user.id,
            "id": user and user.anonymous_id.reveal(),
            "error": error,
        }
        descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lines(self, account: str | None = None, event: str | None = None) -> list[Line]:
        """Return the lines of an account or an event; all by default."""
        if not self._path.exists():
            return []
        lines: list[Line] = [json.loads(text) for text in self._path.read_text().splitlines()]
        return [line for line in lines if account in (None, line["account"]) and event in (None, line["event"])]

    def on_update(
        self, sender: AuthController, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        """Write an update: the receiver of the guide."""
        self.write(sender.account, "update", current, None if error is None else type(error).__name__)

    async def known_id(self, account: str) -> AnonymousId | None:
        """Return the id of an account: the last one, unless an `ErasedAnonymousIdError` followed."""
        for line in reversed(self.lines(account, "update")):
            if line["error"] == ErasedAnonymousIdError.__name__:
                return None
            if line["id"] is not None:
                return AnonymousId(line["id"])
        return None
