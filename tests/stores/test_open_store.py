"""A store by its URL."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keyring
import pytest

import mimi_async.stores
from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.stores import KeyringStore, MemoryStore, PostgresStore, SQLiteStore, open_store

from ..nearly_right import AROUND, ENCODED
from .keyrings import keyring_at

NEARLY_RIGHT = {**AROUND, **ENCODED}


async def test_memory_is_a_memory_store() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)


@pytest.mark.parametrize("path", ["ids.sqlite3", "of the day.sqlite3", "100%.sqlite3"])
async def test_sqlite_is_a_file_by_its_absolute_path(tmp_path: Path, path: str) -> None:
    quoted = path.replace("%", "%25").replace(" ", "%20")
    async with open_store(f"sqlite:///{tmp_path}/{quoted}") as store:
        assert isinstance(store, SQLiteStore)
    assert (tmp_path / path).exists()


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "sqlite:////{}/ids.sqlite3",
        "postgresql://me:hush@db/ids",
        "keyring://player",
        "keyring://player?path={}/ids.sqlite3",
    ],
)
@pytest.mark.parametrize("flaw", NEARLY_RIGHT)
def test_a_nearly_right_url_is_refused_with_its_flaw_and_not_quoted(
    url: str, flaw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, message = NEARLY_RIGHT[flaw]
    monkeypatch.setenv("MIMI_STORE_URL", form.format(url.format(tmp_path))) if "\0" not in form else None
    for given in (None, form.format(url.format(tmp_path)))["\0" in form :]:
        with pytest.raises(
            ConfigurationError, match=message if url != "memory://" or flaw in AROUND else "."
        ) as caught:
            open_store(given)
        assert not [word for word in ("hush", "player", str(tmp_path)) if word in str(caught.value)]
        assert caught.value.__context__ is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "sqlite:////{}/ids.sqlite3?timeout=30",
            "has an option that is not known: it takes ?mode=rw or ?create=folder",
        ),
        ("sqlite:////{}/ids.sqlite3?", "has an option that is not known"),
        ("sqlite:////{}/ids.sqlite3?mode=ro", "has an option that is not known"),
        ("sqlite:////{}/ids.sqlite3?mode=rw&create=folder", "has an option that is not known"),
        ("sqlite:////{}/ids.sqlite3%3Ftimeout=30", "holds an option"),
        ("sqlite:////{}/100%.sqlite3", "a '%' without two hex digits after it: a '%' in a name is %25"),
        ("sqlite:///~/ids.sqlite3", "begins with '~', which only a shell replaces"),
        ("sqlite:///~anna/ids.sqlite3", "begins with '~', which only a shell replaces"),
        ("sqlite:///$HOME/ids.sqlite3", "a variable that was not replaced"),
        ("sqlite:////${{DATA}}/ids.sqlite3", "a variable that was not replaced"),
        ("sqlite:////data/$(TENANT)/ids.sqlite3", "a variable that was not replaced"),
        ("sqlite:////data/{{{{ tenant }}}}.sqlite3", "a variable that was not replaced"),
        ("sqlite:///:memory:", "of SQLite that is not supported"),
        ("sqlite:///file:ids.sqlite3", "of SQLite that is not supported"),
        ("sqlite:///'{}/ids.sqlite3'", "quotation mark"),
        ("sqlite:///sqlite:///ids.sqlite3", "is a URL"),
        (
            "keyring://player?timeout=30",
            "has an option that is not known: it takes ?path=/absolute/path, ?mode=rw, ?create=folder, or ?path=",
        ),
        ("keyring://player?", "has an option that is not known"),
        ("keyring://player?&mode=rw", "has an option that is not known"),
        ("keyring://player?path=", "has an option that is not known"),
        ("keyring://player?path=ids.sqlite3", "has an option that is not known"),
        ("keyring://player?path=~/ids.sqlite3", "has an option that is not known"),
        ("keyring://player?path=$HOME/ids.sqlite3", "has an option that is not known"),
        ("keyring://player?path={}/ids&", "has an option that is not known"),
        ("keyring://player?path={}/ids&mode=ro", "has an option that is not known"),
        ("keyring://player?path={}/ids&path=/ids", "has an option that is not known"),
        ("keyring://player?mode=rw&path={}/ids", "has an option that is not known"),
        ("keyring://player?path={}/ids&mode=rw&create=folder", "has an option that is not known"),
        ("keyring://player?path={}/ids?mode=rw", "has an option that is not known"),
        ("keyring://player?path={}/ids%26mode=rw", "holds '&option=', ';' or"),
        ("keyring://player?path={}/$NAME", "a variable that was not replaced"),
        ("keyring://a%2Fb", "is not the name of a folder"),
        ("keyring://player/", "this URL has another form"),
        ("keyring:///player", "this URL has another form"),
        ("keyring://$PLAYER", "a variable that was not replaced"),
        ("memory://?timeout=30", "has an option that is not known: it takes none"),
        ("memory:///", "this URL has another form"),
        ("postgresql://me:hush@db/$DATABASE", "a variable that was not replaced"),
    ],
)
def test_a_refusal_names_the_flaw_of_the_address(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        open_store(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_is_not_a_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the URL of the store is empty"):
        open_store(Path("ids.sqlite3"))  # type: ignore[arg-type]


async def test_a_url_may_say_that_the_file_must_exist_or_that_its_folder_is_created(tmp_path: Path) -> None:
    path = tmp_path / "one" / "ids.sqlite3"
    with pytest.raises(ConfigurationError, match=r"folder .* is missing"):
        await open_store(f"sqlite:///{path}").__aenter__()
    with pytest.raises(StoreUnavailableError, match="is missing, and must exist"):
        await open_store(f"sqlite:///{path}?mode=rw").__aenter__()
    assert not path.parent.exists()
    async with open_store(f"sqlite:///{path}?create=folder"):
        assert path.exists()
    async with open_store(f"sqlite:///{path}?mode=rw"), open_store(f"sqlite:///{path}?mode=rwc"):
        pass


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


async def test_keyring_is_a_service_and_a_file_with_the_options_of_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = keyring_at(tmp_path)
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    default = open_store("keyring://com.example.player")
    assert isinstance(default, KeyringStore)
    assert default.path == tmp_path / "data/com.example.player/ids.sqlite3"
    path, url = tmp_path / "my ids" / "ids", f"keyring://com.example.player?path={tmp_path}/my%20ids/ids"
    for query, words in (("", r"folder .* is missing"), ("&mode=rw", "is missing, and must exist")):
        with pytest.raises((ConfigurationError, StoreUnavailableError), match=words):
            await open_store(f"{url}{query}").__aenter__()
    with pytest.raises(StoreUnavailableError, match="is missing, and must exist"):
        await open_store("keyring://com.example.player?mode=rw").__aenter__()
    assert not path.parent.exists()
    assert not default.path.parent.exists()
    for query in ("&create=folder", "&mode=rw", "&mode=rwc", ""):
        async with open_store(f"{url}{query}"):
            assert path.exists()
    async with open_store("keyring://com.example.player?create=folder"):
        assert default.path.exists()
    assert len(backend.entries()) == 2


def test_the_environment_names_the_store_where_no_argument_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMI_STORE_URL", "memory://")
    assert isinstance(open_store(), MemoryStore)
    assert isinstance(open_store("sqlite:///ids.sqlite3"), SQLiteStore)


@pytest.mark.parametrize("value", [None, ""])
def test_names_the_variable_to_set_where_no_store_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("MIMI_STORE_URL", value) if value is not None else monkeypatch.delenv(
        "MIMI_STORE_URL", raising=False
    )
    with pytest.raises(ConfigurationError, match="set MIMI_STORE_URL, to sqlite:////var"):
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


IMPORTS = """
import json, sys
import mimi_async.stores as stores
stores.open_store("memory://")
found = {"loaded": [name for name in ("sqlite3", "asyncpg", "keyring", "cryptography") if name in sys.modules]}
for name, library in json.loads(sys.argv[1]):
    sys.modules[library] = None
    try:
        getattr(stores, name)
    except ModuleNotFoundError as error:
        found[f"{name} without {library}"] = [error.name, str(error), str(error.__context__), str(error.__cause__)]
    del sys.modules[library]
print(json.dumps(found))
"""
EXTRAS = {
    ("PostgresStore", "asyncpg"): "postgres",
    ("KeyringStore", "platformdirs"): "keyring",
    ("KeyringStore", "keyring"): "keyring",
    ("SealedStore", "cryptography"): "sealed",
    ("KeyringStore", "cryptography"): "keyring",
}


def test_a_store_loads_its_own_driver_alone_and_a_missing_one_is_an_error_that_names_its_extra() -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage loads sqlite3
    command = [sys.executable, "-c", IMPORTS, json.dumps([*EXTRAS, ("SQLiteStore", "sqlite3")])]
    found = json.loads(subprocess.run(command, env=bare, capture_output=True, text=True, check=True).stdout)
    assert found.pop("loaded") == []
    assert found.pop("SQLiteStore without sqlite3")[:2] == ["sqlite3", "import of sqlite3 halted; None in sys.modules"]
    assert found == {
        f"{name} without {library}": [
            library,
            f"a {name} needs {library}: pip install 'mimi-async[{extra}]'",
            "None",
            "None",
        ]
        for (name, library), extra in EXTRAS.items()
    }
