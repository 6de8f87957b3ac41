"""Which PostgreSQL database an address names: who logs in, and how, does not matter; where it is does."""

import pytest

from mimi_async.cli.places import place_of
from mimi_async.stores import MemoryStore

SAME = {
    "who logs in": ("postgresql://me@db/ids", "postgresql://you:hush@db/ids"),
    "the scheme": ("postgresql://db/ids", "postgres://db/ids"),
    "how it is reached": ("postgresql://db/ids", "postgresql://db/ids?sslmode=require"),
    "the order of options": ("postgresql:///ids?host=a&port=1", "postgresql:///ids?port=1&host=a"),
    "an option that does not count": ("postgresql://db/ids?host=a", "postgresql://db/ids?host=b"),
    "a database as an option": ("postgresql://db?dbname=ids", "postgresql://db/ids"),
    "a user as an option": ("postgresql://me@db", "postgresql://db?user=me"),
}
OTHERS = {
    "the host": ("postgresql://me@one/ids", "postgresql://me@two/ids"),
    "the port": ("postgresql://db:1/ids", "postgresql://db:2/ids"),
    "the database": ("postgresql://db/ids", "postgresql://db/others"),
    "a host as an option": ("postgresql:///ids?host=one", "postgresql:///ids?host=two"),
    "a port as an option": ("postgresql:///ids?host=a&port=1", "postgresql:///ids?host=a&port=2"),
    "a database as an option": ("postgresql://db?dbname=ids", "postgresql://db?database=others"),
    "the user, whose name the database has": ("postgresql://me@db", "postgresql://you@db"),
    "the service": ("postgresql://?service=one", "postgresql://?service=two"),
}


def places(urls: tuple[str, str]) -> list[object]:
    return [place_of(MemoryStore(), url) for url in urls]


@pytest.mark.parametrize("what", SAME)
def test_an_address_names_the_same_place_with_another(what: str) -> None:
    one, another = places(SAME[what])
    assert one == another


@pytest.mark.parametrize("what", OTHERS)
def test_an_address_names_another_place_by(what: str) -> None:
    one, another = places(OTHERS[what])
    assert one != another
