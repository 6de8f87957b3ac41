"""What outlives a kill: lines of JSON, each on the disk before the next thing happens."""

import json
import os
from pathlib import Path
from typing import Any

from mimi_async import AnonymousId, AuthController, ErasedAnonymousIdError, MimiError, MimiUser

Line = dict[str, Any]


class Journal:
    """The partner's own table, as it were: the ids that were announced, and what a process came to.

    Args:
        path: The file, which any number of processes may write.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def write(self, account: str, event: str, user: MimiUser | None = None, error: str | None = None) -> None:
        """Add a line; it is on the disk when this returns."""
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
        """Return the lines, those of an account or an event only."""
        if not self._path.exists():
            return []
        lines: list[Line] = [json.loads(text) for text in self._path.read_text().splitlines()]
        return [line for line in lines if account in (None, line["account"]) and event in (None, line["event"])]

    def told(
        self, sender: AuthController, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
    ) -> None:
        """Be a receiver, as the guide asks: keep the id, and drop it on `ErasedAnonymousIdError`, on nothing else."""
        self.write(sender.account, "told", current, None if error is None else type(error).__name__)

    async def known_id(self, account: str) -> AnonymousId | None:
        """Return the id that a host would have kept with its account."""
        for line in reversed(self.lines(account, "told")):
            if line["error"] == ErasedAnonymousIdError.__name__:
                return None
            if line["id"] is not None:
                return AnonymousId(line["id"])
        return None
