"""The reference identity server: the contract of `mimi_async.wire`, over one database.

It is our own, as the contract is: the real Mimi backend is private. SDK and server share `wire` and the database
drivers.

The database alone ensures correctness, by unique constraints and single transactions, so that any number of server
processes may share it. A process keeps only its rate limits.
"""

from .server import Server
from .settings import Settings

__all__ = ["Server", "Settings"]
