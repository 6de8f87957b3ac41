"""A store by its URL."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mimi_async.stores
from mimi_async.errors import ConfigurationError
from mimi_async.stores import KeyringStore, MemoryStore, PostgresStore, SQLiteStore, open_store


async def test_memory_is_a_memory_store() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)


@pytest.mark.parametrize("path", ["ids.sqlite3", "of the day.sqlite3", "100%.sqlite3"])
async def test_sqlite_is_a_file_by_its_absolute_path(tmp_path: Path, path: str) -> None:
    quoted = path.replace("%", "%25").replace(" ", "%20")
    async with open_store(f"sqlite:///{tmp_path}/{quoted}") as store:
        assert isinstance(store, SQLiteStore)
    assert (tmp_path / path).exists()


async def test_sqlite_is_a_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///ids.sqlite3")
    monkeypatch.chdir("/")
    async with store:
        assert (tmp_path / "ids.sqlite3").exists()


def test_postgresql_is_a_database_by_its_whole_address() -> None:
    store = open_store("postgresql://me:hush@host:5433/ids")
    assert isinstance(store, PostgresStore)
    assert repr(store) == "PostgresStore(postgresql://host:5433/ids, schema='mimi_store')"


def test_keyring_is_a_service_of_the_operating_system() -> None:
    store = open_store("keyring://com.example.player")
    assert isinstance(store, KeyringStore)
    assert "com.example.player" in repr(store)


@pytest.mark.parametrize(("url", "driver"), [("postgresql://host/ids", "asyncpg"), ("keyring://player", "keyring")])
def test_says_which_extra_is_missing(url: str, driver: str) -> None:
    code = f"import sys; sys.modules[{driver!r}] = None; from mimi_async.stores import open_store; open_store({url!r})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(r"ModuleNotFoundError: .*pip install 'mimi-async\[(postgres|keyring)\]'", ended.stderr)


def test_the_environment_names_the_store_where_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMI_STORE_URL", "memory://")
    assert isinstance(open_store(), MemoryStore)
    assert isinstance(open_store("sqlite:///ids.sqlite3"), SQLiteStore)


@pytest.mark.parametrize("value", [None, ""])
def test_says_what_to_set_where_nothing_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("MIMI_STORE_URL", value) if value is not None else monkeypatch.delenv(
        "MIMI_STORE_URL", raising=False
    )
    with pytest.raises(ConfigurationError, match="set MIMI_STORE_URL, to sqlite:///ids"):
        open_store()


@pytest.mark.parametrize(
    "url",
    [
        "redis://secret@host",
        "sqlite://",
        "sqlite:///",
        "sqlite://secret/x",
        "memory://secret",
        "keyring://",
        "postgresql://",
        "secret",
        "",
    ],
)
def test_names_the_schemes_it_knows_and_not_what_it_was_given(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"memory://.*sqlite:///|set MIMI_STORE_URL") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_the_names_are_those_that_type_checkers_see() -> None:
    stub = Path(mimi_async.stores.__file__).with_suffix(".pyi").read_text()
    assert all(f'    "{name}",\n' in stub for name in mimi_async.stores.__all__)
    assert stub.count('    "') == len(mimi_async.stores.__all__)
    assert all(hasattr(mimi_async.stores, name) for name in mimi_async.stores.__all__)
    assert not hasattr(mimi_async.stores, "RedisStore")


def test_nobody_loads_the_driver_of_another_store() -> None:
    code = "import sys, mimi_async.stores as s; s.open_store('memory://'); sys.exit('sqlite3' in sys.modules)"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage loads it itself
    assert subprocess.run([sys.executable, "-c", code], env=bare, check=False).returncode == 0
