"""What is shown of the place where users are kept."""

from pathlib import Path

import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.server.places import FilePlace, PostgresPlace, place_of

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
    place = place_of(address)
    assert isinstance(place, PostgresPlace)
    assert str(place) == SHOWN[address]
    assert repr(place) == f"PostgresPlace({SHOWN[address]})"


def test_everything_else_is_a_file() -> None:
    for path in ("users.sqlite3", Path("/var/lib/users.sqlite3"), Path("postgresql://db.example/mimi")):
        place = place_of(path)
        assert place == FilePlace(Path(path))
        assert place_of(place) is place
        assert str(place) == str(Path(path))


@pytest.mark.parametrize("address", ["postgresql+asyncpg://me:hush@db/mimi", "mysql://me:hush@db", "POSTGRESQL://hush"])
def test_an_address_of_something_else_is_no_file_and_is_not_quoted(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is the path of a file, or postgresql://user@host/database") as caught:
        place_of(address)
    assert "hush" not in str(caught.value)
