"""The location that the URL of a PostgreSQL store names: neither the user nor the connection options count."""

import pytest

from mimi_async.cli.store import find_location
from mimi_async.stores import MemoryStore

SAME = {
    "user": ("postgresql://me@db/ids", "postgresql://you:hush@db/ids"),
    "scheme": ("postgresql://db/ids", "postgres://db/ids"),
    "TLS": ("postgresql://db/ids", "postgresql://db/ids?sslmode=require"),
    "order of options": ("postgresql:///ids?host=a&port=1", "postgresql:///ids?port=1&host=a"),
}
DIFFERENT = {
    "host": ("postgresql://me@one/ids", "postgresql://me@two/ids"),
    "port": ("postgresql://db:1/ids", "postgresql://db:2/ids"),
    "database": ("postgresql://db/ids", "postgresql://db/others"),
    "host as an option": ("postgresql:///ids?host=one", "postgresql:///ids?host=two"),
    "port as an option": ("postgresql:///ids?host=a&port=1", "postgresql:///ids?host=a&port=2"),
    "database as an option": ("postgresql://db?dbname=ids", "postgresql://db?database=others"),
    "user that names the database": ("postgresql://me@db", "postgresql://you@db"),
    "service": ("postgresql://?service=one", "postgresql://?service=two"),
}


@pytest.mark.parametrize(("what", "urls"), [*SAME.items(), *DIFFERENT.items()])
def test_urls_have_one_location_if_they_name_the_same_records(what: str, urls: tuple[str, str]) -> None:
    one, other = (find_location(MemoryStore(), url) for url in urls)
    assert (one == other) is (what in SAME)
