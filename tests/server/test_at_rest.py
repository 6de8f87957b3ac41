"""The bytes on the disk of a SQLite file: no id while a user exists, and only digests afterwards."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from mimi_async.testing import IdentityServer

from .client import PlainClient, a_key


def at_rest(server: IdentityServer) -> bytes:
    """Every byte that lies on the disk beside the keys."""
    folder = server.database.parent
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.suffix != ".keys")


def rows(server: IdentityServer, select: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(server.database)) as connection:
        return connection.execute(select).fetchall()


async def test_no_secret_is_ever_at_rest(client: PlainClient, server: IdentityServer) -> None:
    key, test_key = a_key(), a_key()
    made = (await client.create(key)).json
    await client.log_in(made["anonymous_id"])
    await client.submit(made["access_token"], key=test_key)
    secret = server.credentials.secret.reveal()
    bare = made["anonymous_id"].replace("-", "")
    texts = [made["anonymous_id"], bare, key, test_key, secret, made["access_token"]]
    held = at_rest(server)
    assert bytes.fromhex(made["user"]["id"]) in held
    for text in texts:
        assert text.encode() not in held
    for digits in (bare, key, test_key, secret):
        assert bytes.fromhex(digits) not in held


async def test_an_erasure_leaves_digests_alone(client: PlainClient, server: IdentityServer) -> None:
    made = (await client.create()).json
    token = made["access_token"]
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980, "sex": "intersex"}, token=token)
    test = (await client.submit(token)).json
    assert test["id"].encode() in at_rest(server)
    assert (await client.ask("DELETE", "/v1/user", token=token)).status == 204
    held = at_rest(server)
    assert bytes.fromhex(made["user"]["id"]) not in held
    assert made["user"]["id"].encode() not in held
    assert test["id"].encode() not in held
    assert rows(server, "SELECT * FROM hearing_tests") == []
    ((partner, create_digest, id_digest, *personal),) = rows(server, "SELECT * FROM users")
    assert partner == "acme"
    assert [type(create_digest), type(id_digest)] == [bytes, bytes]
    assert personal == [None] * 4


async def test_an_erasure_clears_the_write_ahead_log_after_the_last_reader(
    client: PlainClient, server: IdentityServer
) -> None:
    made = (await client.create()).json
    user_id = bytes.fromhex(made["user"]["id"])
    with closing(sqlite3.connect(server.database)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchone()
        assert (await client.ask("DELETE", "/v1/user", token=made["access_token"])).status == 204
        assert user_id in at_rest(server), "the reader keeps the log"
    while user_id in at_rest(server):  # noqa: ASYNC110 - a file sets no event
        await asyncio.sleep(0.01)


async def test_the_files_are_private(server: IdentityServer) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in Path(server.database.parent).iterdir()}
    assert modes
    assert set(modes.values()) == {0o600}
