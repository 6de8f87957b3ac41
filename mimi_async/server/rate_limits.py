"""The rate limits of one process. They protect the server; they are not an account of its use."""

import time
from collections.abc import Callable
from typing import Final

import attrs

MINUTE: Final = 60.0
UNKNOWN_IDS: Final = 100
"""Unknown ids per minute and client, above which an unknown id gets a 429."""

TOO_MANY_USERS: Final = "this client creates too many users"
TOO_MANY_UNKNOWN_IDS: Final = "this client sends too many unknown ids"
"""The details of the 429 replies."""


@attrs.define(eq=False)
class LeakyBucket:
    """The recent events of each client, as a leaky bucket.

    Attributes:
        capacity: The number of events per minute, and at once; None for no limit.
        exempt: A client without a limit.
        clock: Returns monotonic seconds.
    """

    capacity: int | None
    exempt: str | None = None
    clock: Callable[[], float] = time.monotonic
    _levels: dict[str, tuple[float, float]] = attrs.field(factory=dict, init=False, repr=False)

    def seconds_until_free(self, client_id: str) -> float:
        """Return the seconds until the client may cause another event; 0 for now."""
        if self.capacity is None or client_id == self.exempt:
            return 0.0
        excess = self._level(client_id, self.capacity) + 1 - self.capacity
        return max(0.0, excess * MINUTE / self.capacity)

    def add(self, client_id: str) -> None:
        """Count an event. Call this for known clients only: each takes some memory."""
        if self.capacity is not None:
            self._levels[client_id] = (self._level(client_id, self.capacity) + 1, self.clock())

    def _level(self, client_id: str, capacity: int) -> float:
        level, then = self._levels.get(client_id, (0.0, 0.0))
        return max(0.0, level - (self.clock() - then) * capacity / MINUTE)


@attrs.frozen
class RateLimits:
    """The rate limits of each client.

    Attributes:
        creations: New users. Replays are not counted.
        unknown_ids: Log-ins with an unknown id.
    """

    creations: LeakyBucket
    unknown_ids: LeakyBucket = attrs.field(factory=lambda: LeakyBucket(UNKNOWN_IDS))
