"""How a test of the store contract is written: a coroutine that gets an empty store."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar, TypeVar
from unittest import SkipTest

from ..identity import AnonymousId, CreateKey
from ..stores.base import IdentityStore, StoredIdentity


class Contract:
    """What a subclass tells about its store.

    Attributes:
        seconds: How long a test may take before it is said that the store hangs. More for a slow one.
        lasting: Whether a store finds what an earlier one has kept at the same place. False for one in memory.
        place: An empty folder of the test, where a store may keep files.
    """

    seconds: ClassVar[float] = 60.0
    lasting: ClassVar[bool] = True
    place: Path

    def make_store(self, place: Path) -> IdentityStore:
        """Return a store, not entered: an empty one in each test; within a test, one place is one set of records."""
        raise NotImplementedError

    def damage(self, place: Path, account: str) -> None:
        """Make the record of the account unreadable, behind the store's back. Override it where that can happen."""
        msg = f"nothing can damage the record of {account!r} in {place}"
        raise SkipTest(msg)

    def must_last(self) -> None:
        """Skip the test if the store is not a lasting one."""
        if not self.lasting:
            msg = "this store is not a lasting one"
            raise SkipTest(msg)


_Contract = TypeVar("_Contract", bound=Contract)


def scenario(body: Callable[[_Contract, IdentityStore], Awaitable[None]]) -> Callable[[_Contract, Path], None]:
    """Make a test of a coroutine that wants an empty store, entered."""

    async def run(contract: _Contract) -> None:
        async with asyncio.timeout(contract.seconds), contract.make_store(contract.place) as store:
            await body(contract, store)

    def test(self: _Contract, tmp_path: Path) -> None:
        self.place = tmp_path
        asyncio.run(run(self))

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    return test


def fresh_pending() -> StoredIdentity:
    """Return a record of a creation that begins."""
    return StoredIdentity.pending(CreateKey.fresh())


def fresh_active() -> StoredIdentity:
    """Return a record of a user that nobody else is."""
    return StoredIdentity.active(AnonymousId(str(uuid.uuid4())), uuid.uuid4().hex)
