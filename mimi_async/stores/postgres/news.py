"""What PostgreSQL tells of changes, and which of them are a store's own."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..base import Change

_MESSAGE: Final = re.compile("([0-9a-f]{32}) ([0-9a-f]{0,32})(?: ([0-9a-f]{0,64}))?")
_MOST_REMEMBERED: Final = 10_000


def replacement_by(revision: bytes) -> str:
    """Name the change that lets a new revision be there."""
    return f"+{revision.hex()}"


def deletion_of(revision: object) -> str:
    """Name the change after which a revision is no more."""
    return f"-{revision[:16].hex() if isinstance(revision, bytes) else ''}"


class OwnChanges:
    """Tells news of the changes that a store makes itself from news of the changes of others.

    They may come before the statement has returned. Where it fails, it is not known what was changed: such news are
    kept back until then, and told like those of others. All are told where several listen: each may be another one's.

    Args:
        tell: Tells what was kept back.
        is_shared: Tells whether several listen.
    """

    def __init__(self, tell: Callable[[Change], None], is_shared: Callable[[], bool] = lambda: False) -> None:
        self._tell = tell
        self._is_shared = is_shared
        self._made: OrderedDict[str, None] = OrderedDict()
        self._under_way: dict[str, list[Change]] = {}

    @contextmanager
    def making(self, change: str) -> Iterator[None]:
        """Make a change of that name; the body raises where it is not known whether it was made."""
        self._under_way.setdefault(change, [])
        try:
            yield
        except BaseException:
            for early in self._under_way.pop(change, ()):
                self._tell(early)
            raise
        if not self._under_way.pop(change, None):
            self._made[change] = None
        if len(self._made) > _MOST_REMEMBERED:
            self._made.popitem(last=False)

    def read(self, message: str) -> Change | None:
        """Return what a message tells; None: nothing that others have done. What can't be read may mean anything."""
        match = _MESSAGE.fullmatch(message)
        if match is None:
            return Change(None)
        digest, old, new = match.groups()
        change, name = Change(bytes.fromhex(digest)), f"-{old}" if new is None else f"+{new}"
        if self._is_shared():
            return change
        if name in self._under_way:
            self._under_way[name].append(change)
            return None
        if name in self._made:  # it is told once: what comes by this name later is somebody else's, such as a put-back
            del self._made[name]
            return None
        return change
