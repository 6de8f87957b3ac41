"""Read the notifications of changes, and leave out the changes of this store."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..base import Change

_MESSAGE: Final = re.compile("([0-9a-f]{32}) ([0-9a-f]{0,32})(?: ([0-9a-f]{0,64}))?")
_MAX_REMEMBERED: Final = 10_000


def name_replacement(revision: bytes) -> str:
    """Return the name of the change that writes a revision."""
    return f"+{revision.hex()}"


def name_deletion(revision: object) -> str:
    """Return the name of the change that deletes a revision."""
    return f"-{revision[:16].hex() if isinstance(revision, bytes) else ''}"


class OwnChangeFilter:
    """Leaves out notifications of the changes that a store makes.

    A notification may arrive before its statement has returned. It is held back until then, and published if the
    statement fails: it is then unknown whose change it was. Nothing is left out while the store has several
    subscribers: each of them may need the changes of the others.

    Args:
        publish: Publishes a change that was held back.
        is_shared: Returns whether the store has several subscribers.
    """

    def __init__(self, publish: Callable[[Change], None], is_shared: Callable[[], bool] = lambda: False) -> None:
        self._publish = publish
        self._is_shared = is_shared
        self._made: OrderedDict[str, None] = OrderedDict()
        self._in_flight: dict[str, list[Change]] = {}

    @contextmanager
    def expect(self, change: str) -> Iterator[None]:
        """Expect a change of that name during the body, which raises where the outcome is unknown."""
        self._in_flight.setdefault(change, [])
        try:
            yield
        except BaseException:
            for held in self._in_flight.pop(change, ()):
                self._publish(held)
            raise
        if not self._in_flight.pop(change, None):
            self._made[change] = None
        if len(self._made) > _MAX_REMEMBERED:
            self._made.popitem(last=False)

    def read(self, message: str) -> Change | None:
        """Return the change of a notification, None for a change of this store. `Change(None)` if it can't be read."""
        match = _MESSAGE.fullmatch(message)
        if match is None:
            return Change(None)
        digest, old, new = match.groups()
        change, name = Change(bytes.fromhex(digest)), f"-{old}" if new is None else f"+{new}"
        if self._is_shared():
            return change
        if name in self._in_flight:
            self._in_flight[name].append(change)
            return None
        if name in self._made:  # once: a later change of this name is another one, such as a restored row
            del self._made[name]
            return None
        return change
