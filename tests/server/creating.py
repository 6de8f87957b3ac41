"""A process that creates users in PostgreSQL: `python -m tests.server.creating DSN PEPPER`, keys by standard input.

It prints, for each key, the id of its user and whether it was made just now.
"""

import asyncio
import sys

from mimi_async.identity import CreateKey
from mimi_async.server.keys import Keys
from mimi_async.server.postgres import PostgresUserBook
from mimi_async.server.users import Caller, Candidate, Member


async def main(dsn: str, pepper: str) -> None:
    keys = Keys(id_key=b"i" * 32, pepper=bytes.fromhex(pepper), token_keys=(b"t" * 32,))
    book = PostgresUserBook(dsn, seconds=60.0, connections=4)
    await book.open()
    print("open", flush=True)  # noqa: T201 - it is asked
    create_keys = [CreateKey(line.strip()) for line in await asyncio.to_thread(sys.stdin.readlines)]
    await asyncio.gather(*(create(book, keys, key) for key in create_keys))
    await book.close()


async def create(book: PostgresUserBook, keys: Keys, key: CreateKey) -> None:
    candidate = Candidate(keys, key, keys.create_digest(key))
    member = await book.create(Caller("acme-player", b"s" * 32), candidate, may_make=True)
    assert isinstance(member, Member)
    print(key.reveal(), member.profile.id, member.is_new)  # noqa: T201 - it is asked


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
