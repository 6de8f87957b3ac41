"""The location of the user database: its parts, and what is shown of it."""

from pathlib import Path

import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.server.locations import PostgresLocation, SQLiteLocation, parse_location

from ..nearly_right import AROUND, ENCODED

SHOWN = {
    "postgresql://db.example/mimi": "postgresql://db.example/mimi",
    "postgres://mimi:hush@db.example:5432/mimi": "postgresql://db.example:5432/mimi",
    "postgresql://mimi:hu%40sh@db.example/mimi?sslmode=require": "postgresql://db.example/mimi",
    "postgresql://mimi:hush@one:1,two:2/mimi": "postgresql://one:1,two:2/mimi",
    "postgresql://mimi:hush@[::1]:5432/mimi": "postgresql://[::1]:5432/mimi",
    "postgresql:///mimi?host=/run/postgresql&password=hush": "postgresql:///mimi",
    "postgresql://mimi:hu/sh@db.example/mimi": "postgresql://…",
    "postgresql://mimi:hu@sh@db.example/mimi": "postgresql://…",
    "postgresql://mimi:hu?sh@db.example/mimi": "postgresql://…",
    "postgresql://mimi:1?hush@db.example/mimi": "postgresql://…",
    "postgresql://mimi:hush": "postgresql://…",
    "postgresql://mimi hush/mimi": "postgresql://…",
}


@pytest.mark.parametrize("address", SHOWN)
def test_no_address_shows_its_user_or_its_password(address: str) -> None:
    location = PostgresLocation(address)
    assert str(location) == SHOWN[address]
    assert repr(location) == f"PostgresLocation({SHOWN[address]})"


@pytest.mark.parametrize("address", [address for address, shown in SHOWN.items() if "…" not in shown])
def test_an_address_of_postgresql_is_a_database_there(address: str) -> None:
    assert parse_location(address) == PostgresLocation(address)


def test_everything_else_is_a_file_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("users.sqlite3", Path("/var/lib/users.sqlite3"), Path("postgresql://db.example/mimi")):
        location = parse_location(path)
        assert location == SQLiteLocation(path)
        assert parse_location(location) is location
        assert str(location) == str(tmp_path / path)


def test_a_url_of_sqlite_says_what_is_created() -> None:
    assert parse_location("sqlite:////data/users") == SQLiteLocation("/data/users")
    assert parse_location("sqlite:////data/users?mode=rw") == SQLiteLocation("/data/users", "nothing")
    assert parse_location("sqlite:////data/users?create=folder") == SQLiteLocation("/data/users", "folder")


@pytest.mark.parametrize("address", ["postgresql+asyncpg://me:hush@db/mimi", "mysql://me:hush@db", "POSTGRESQL://hush"])
def test_another_url_is_not_taken_for_a_file_and_not_quoted(address: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"a database is sqlite:///.* or postgresql://user@host/database"
    ) as caught:
        parse_location(address)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("database", ["sqlite:////{}/users", "postgresql://me:hush@db/mimi", "/{}/users"])
@pytest.mark.parametrize("flaw", [*AROUND, *ENCODED])
def test_a_nearly_right_database_is_refused_with_its_flaw(database: str, flaw: str, tmp_path: Path) -> None:
    form, message = {**AROUND, **ENCODED}[flaw]
    if flaw in ENCODED and "://" not in database:
        return  # nothing is encoded in a path
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_location(form.format(database.format(tmp_path)))
    assert not [word for word in ("hush", str(tmp_path)) if word in str(caught.value)]
