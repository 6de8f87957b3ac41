"""The reference identity server: the whole contract of `mimi_async.wire`, over one database.

It is ours, as the contract is: the real Mimi backend is private. It meets the SDK at `wire` and nowhere else.

Correctness lives in the database alone, in unique constraints and single writes, so that any number of server
processes may share one; a process keeps nothing but its limits.
"""

from .listener import Server
from .settings import Settings

__all__ = ["Server", "Settings"]
