"""Repositories of users, and what tests create in them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from mimi_async.secret import CreateKey
from mimi_async.server.keyfile import load_from_environment
from mimi_async.server.users.repository import NewUser, UnverifiedClient, UserRepository

from .client import a_key
from .on_postgres import ENVIRON

ACME = UnverifiedClient("acme-player", b"s" * 32)

_R = TypeVar("_R", bound=UserRepository)


@asynccontextmanager
async def open_repositories(*repositories: _R) -> AsyncIterator[_R]:
    """Open repositories at the same moment, and close them at the end; yield the last one."""
    await asyncio.gather(*(repository.open() for repository in repositories))
    try:
        yield repositories[-1]
    finally:
        for repository in repositories:
            await repository.close()


def make_new_user(text: str | None = None) -> NewUser:
    """Return the user of a create key, by default of a new one."""
    keys, key = load_from_environment(ENVIRON), CreateKey(text or a_key())
    assert keys is not None
    return NewUser(keys, key, keys.digest_create_key(key))
