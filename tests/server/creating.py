"""A process that creates users in PostgreSQL, forked by `tests.fork_server`."""

import asyncio
import json
from pathlib import Path
from typing import Any

from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.server.users.repository import PartnerUser

from .repositories import ACME, make_new_user, open_repositories


def live(job: dict[str, Any]) -> None:
    """Create the users of `job["keys"]`; write each key, the user id and whether it is new to the file `job["out"]`."""
    users = asyncio.run(_create(job["dsn"], job["keys"]))
    found = [(key, user.profile.id, user.is_new) for key, user in users if isinstance(user, PartnerUser)]
    Path(job["out"]).write_text(json.dumps(found))


async def _create(dsn: str, keys: list[str]) -> list[tuple[str, object]]:
    async with open_repositories(PostgresUserRepository(dsn, timeout=60.0, connections=4)) as repository:
        creations = (repository.create(ACME, make_new_user(key), may_make=True) for key in keys)
        return list(zip(keys, await asyncio.gather(*creations), strict=True))
