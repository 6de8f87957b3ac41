"""The limits of one process: protection, not accounting."""

import time
from collections.abc import Callable
from typing import Final

import attrs

MINUTE: Final = 60.0
WRONG_IDS: Final = 100
"""Wrong ids a minute from one client, beyond which an unknown id is answered by 429."""


@attrs.define(eq=False)
class Rate:
    """How often each client did something of late: a bucket that leaks.

    Attributes:
        most: How many a minute are let through, and how many at once.
        clock: Seconds that only grow.
    """

    most: int
    clock: Callable[[], float] = time.monotonic
    _filled: dict[str, tuple[float, float]] = attrs.field(factory=dict, init=False, repr=False)

    def wait(self, client_id: str) -> float:
        """Return after how many seconds this client may go on; 0 for now."""
        over = self._level(client_id) + 1 - self.most
        return max(0.0, over * MINUTE / self.most)

    def count(self, client_id: str) -> None:
        """Count one more. Ask this only for clients that exist: each takes some memory."""
        self._filled[client_id] = (self._level(client_id) + 1, self.clock())

    def _level(self, client_id: str) -> float:
        level, then = self._filled.get(client_id, (0.0, 0.0))
        return max(0.0, level - (self.clock() - then) * self.most / MINUTE)


class Limits:
    """What each client may do.

    Args:
        creations: New users a minute from one client; None for no limit. Replays don't count.
        wrong_ids: Wrong ids a minute from one client.
        exempt: A client without a limit of creations.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        creations: int | None,
        *,
        wrong_ids: int = WRONG_IDS,
        exempt: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._creations = None if creations is None else Rate(creations, clock)
        self._wrong_ids = Rate(wrong_ids, clock)
        self._exempt = exempt

    def creation_wait(self, client_id: str) -> float:
        """Return after how many seconds this client may create a user; 0 for now."""
        if self._creations is None or client_id == self._exempt:
            return 0.0
        return self._creations.wait(client_id)

    def created(self, client_id: str) -> None:
        """Count a user that was created."""
        if self._creations is not None and client_id != self._exempt:
            self._creations.count(client_id)

    def wrong_id(self, client_id: str) -> float:
        """Count a wrong id; return 0, or, beyond the limit, after how many seconds the client may be wrong again."""
        wait = self._wrong_ids.wait(client_id)
        if not wait:
            self._wrong_ids.count(client_id)
        return wait
