"""Records and checks for tests of stores."""

import asyncio
import os
import uuid
import warnings
from collections.abc import Awaitable
from unittest import SkipTest

from ..errors import ConfigurationError, StoreCorruptError
from ..secret import AnonymousId, CreateKey
from ..stores.base import IdentityStore, StoredIdentity


def fresh_pending() -> StoredIdentity:
    """Return a pending record with a new create key."""
    return StoredIdentity.pending(CreateKey.generate())


def fresh_active() -> StoredIdentity:
    """Return an active record with a new anonymousId."""
    return StoredIdentity.active(AnonymousId(str(uuid.uuid4())), uuid.uuid4().hex)


async def read_corrupt_revision(call: Awaitable[object]) -> bytes | None:
    """Return the revision of the `StoreCorruptError` that the call raises."""
    try:
        await call
    except StoreCorruptError as error:
        return error.revision
    msg = "a damaged record was read, or overwritten"
    raise AssertionError(msg)


async def is_refused(store: IdentityStore) -> bool:
    """Return whether a load raises a `ConfigurationError`."""
    try:
        await store.load("a")
    except ConfigurationError:
        return True
    return False


def is_refused_in_forked_child(store: IdentityStore) -> bool:
    """Return whether a load in a forked child raises a `ConfigurationError`."""
    if not hasattr(os, "fork"):
        msg = "this system has no fork"
        raise SkipTest(msg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: the child exits at once
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    status = 1
    try:
        status = 0 if asyncio.run(is_refused(store)) else 1
    finally:
        os._exit(status)
