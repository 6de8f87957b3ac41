"""asyncio's debug mode logs the arguments of callbacks: no secret and no key is among them."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from mimi_async.stores import IdentityStore, SQLiteStore
from mimi_async.testing.store_contract_base import fresh_active

from ..postgres_server import Postgres
from .keyrings import keyring_at, store_at
from .tables import Tables

STORES: dict[str, Callable[[Path, Postgres], IdentityStore]] = {
    "sqlite": lambda folder, _: SQLiteStore(folder / "ids.sqlite3"),
    "postgres": lambda _, postgres: Tables.make(postgres).store(),
    "keyring": lambda folder, _: store_at(folder),
}


@pytest.mark.parametrize("kind", STORES)
async def test_no_secret_and_no_key_is_logged(
    tmp_path: Path, postgres: Postgres, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    record, new, store = fresh_active(), fresh_active(), STORES[kind](tmp_path, postgres)
    async with store:
        await store.claim("a", record)
        task = asyncio.create_task(store.load("a"))
        await task
        logging.debug("%r %r %r %r", task, store, record, vars(store))  # noqa: LOG015 - as a careless host does
        await store.replace("a", record, new)
        await store.forget("a", new)
    assert "Executing" in caplog.text
    secrets = [record.secret.reveal(), new.secret.reveal(), *keyring_at(tmp_path).entries().values()]
    assert len(secrets) == (3 if kind == "keyring" else 2)
    assert not [secret for secret in secrets if secret in caplog.text]
