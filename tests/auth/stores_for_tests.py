"""A real store that counts what is written, and lets a test act between any two steps."""

from collections.abc import Awaitable, Callable
from typing import Literal, Self, TypeVar

from mimi_async.stores import DamagedIdentity, IdentityStore, StoredIdentity

T = TypeVar("T")
Act = Callable[[], Awaitable[object]]
Moment = tuple[Literal["before", "after"], Literal["load", "claim", "replace", "forget"]]

BEFORE_LOAD: Moment = ("before", "load")
AFTER_LOAD: Moment = ("after", "load")
BEFORE_CLAIM: Moment = ("before", "claim")
AFTER_CLAIM: Moment = ("after", "claim")
BEFORE_REPLACE: Moment = ("before", "replace")
AFTER_REPLACE: Moment = ("after", "replace")
BEFORE_FORGET: Moment = ("before", "forget")
AFTER_FORGET: Moment = ("after", "forget")


class WatchedStore(IdentityStore):
    """Passes every verb on to `inner`; a test itself looks into `inner`."""

    def __init__(self, inner: IdentityStore) -> None:
        self.inner = inner
        self.writes: list[str] = []
        self.is_entered = 0
        self._acts: dict[Moment, tuple[Act, int]] = {}

    def at(self, moment: Moment, act: Act, *, times: int = 1) -> None:
        """Let something happen the next so many times that a verb is called or has done its work; it may raise."""
        self._acts[moment] = (act, times)

    def clear_faults(self) -> None:
        """Let nothing happen any more."""
        self._acts.clear()

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        self.is_entered += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.is_entered -= 1
        await self.inner.__aexit__(*exc_info)

    async def load(self, account: str) -> StoredIdentity | None:
        return await self._watched("load", lambda: self.inner.load(account))

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        return await self._watched("claim", lambda: self.inner.claim(account, record))

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        return await self._watched("replace", lambda: self.inner.replace(account, expected, new))

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        return await self._watched("forget", lambda: self.inner.forget(account, expected))

    async def _watched(
        self, verb: Literal["load", "claim", "replace", "forget"], work: Callable[[], Awaitable[T]]
    ) -> T:
        await self._meet(("before", verb))
        if verb != "load":
            self.writes.append(verb)
        result = await work()
        await self._meet(("after", verb))
        return result

    async def _meet(self, moment: Moment) -> None:
        act, times = self._acts.pop(moment, (None, 0))
        if act is None:
            return
        if times > 1:
            self._acts[moment] = (act, times - 1)
        await act()
