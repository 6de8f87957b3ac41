"""A record whose secret is easy to find."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from mimi_async.secret import AnonymousId
from mimi_async.stores import StoredIdentity

SECRET = "5ec2e70f-0000-4000-8000-5ec2e70f5ec2"
RECORD = StoredIdentity.active(AnonymousId(SECRET), uuid.uuid4().hex)


def spoil(path: Path, change: str) -> None:
    """Change the row of account "a" in a SQLite file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE identities SET {change} WHERE account = 'a'")
