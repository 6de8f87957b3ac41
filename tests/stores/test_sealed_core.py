"""A core over a sealed store whose key is missing: no account gets a second user, and with the key all are back."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from mimi_async import ConfigurationError, MimiCore, MimiUser, NotRestoredError, StoreCorruptError, ViewsClosedError
from mimi_async.stores import SealedStore, SQLiteStore
from tests.doubles import FakeServer, Observer, core_of, whose

from .rows import behind_the_back_of

KEY, OTHER_KEY = (Fernet.generate_key() for _ in range(2))
ACCOUNTS = ("default", "a-17")
CREATION = "POST /v1/anonymous-users"


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


def core(server: FakeServer, path: Path, *keys: bytes) -> MimiCore:
    return core_of(server, store=SealedStore(SQLiteStore(path), keys))


async def users(server: FakeServer, path: Path, *keys: bytes) -> list[MimiUser]:
    async with core(server, path, *keys) as launched:
        return [await (await launched.auth_for(account)).ensure_user() for account in ACCOUNTS]


async def test_without_the_key_no_user_is_created_and_with_it_all_are_back(server: FakeServer, path: Path) -> None:
    first = await users(server, path, KEY)
    server.requests.clear()
    observer = Observer()
    async with core(server, path, OTHER_KEY) as launched:
        launched.observe(observer)
        assert isinstance(launched.auth.gate.cause, StoreCorruptError)
        with pytest.raises(StoreCorruptError, match="a key is missing, or it is damaged; it was kept"):
            await launched.auth.ensure_user()
        with pytest.raises(StoreCorruptError):
            await launched.auth_for("a-17")
        with pytest.raises(ViewsClosedError):
            await launched.present(whose)
        with pytest.raises(NotRestoredError):
            _ = launched.auth.current_user
    assert server.requests == []
    assert {(update.current, update.old) for update in observer.updates} <= {(None, None)}
    assert await users(server, path, OTHER_KEY, KEY) == first
    assert await users(server, path, KEY) == first
    assert CREATION not in server.requests


async def test_after_start_over_without_the_key_the_user_can_be_restored_by_hand(
    server: FakeServer, path: Path
) -> None:
    first = await users(server, path, KEY)
    async with core(server, path, OTHER_KEY) as launched:
        assert await launched.auth.start_over() is None
        assert await launched.auth.ensure_user() != first[0]
    with behind_the_back_of(path) as rows:
        rows.connection.execute("DELETE FROM identities WHERE account = 'default'")
        rows.connection.execute(
            "INSERT INTO identities "
            "SELECT account, state, secret, user_id, revision, changed_at, digest FROM quarantine"
        )
    assert await users(server, path, KEY) == first


async def test_a_core_that_was_given_the_inner_store_asks_for_the_sealed_one(server: FakeServer, path: Path) -> None:
    first = await users(server, path, KEY)
    async with core_of(server, store=SQLiteStore(path), account=None) as launched:
        for account in ACCOUNTS:
            with pytest.raises(ConfigurationError, match=r"give the core SealedStore\(store, keys\) around its store"):
                await launched.auth_for(account)
    assert await users(server, path, KEY) == first
