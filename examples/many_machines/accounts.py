"""The partner's own table in PostgreSQL: which anonymousId belongs to which account (guide, steps 2 and 3)."""

import asyncpg

from mimi_async import AnonymousId, AuthController, ErasedAnonymousIdError, MimiError, MimiUser

SCHEMA = "CREATE TABLE IF NOT EXISTS partner_accounts (account text PRIMARY KEY, mimi_anonymous_id text)"
_SELECT = "SELECT mimi_anonymous_id FROM partner_accounts WHERE account = $1"
_STORE = """INSERT INTO partner_accounts VALUES ($1, $2) ON CONFLICT (account)
           DO UPDATE SET mimi_anonymous_id = excluded.mimi_anonymous_id
           WHERE partner_accounts.mimi_anonymous_id IS DISTINCT FROM excluded.mimi_anonymous_id"""
_DROP = "UPDATE partner_accounts SET mimi_anonymous_id = NULL WHERE account = $1 AND mimi_anonymous_id = $2"


class Accounts:
    """Store the id of each account: the observer of the guide, and its `known_id`.

    Args:
        pool: The partner's own pool.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def known_id(self, account: str) -> AnonymousId | None:
        """Return the stored id of an account. An error of the pool is raised: it does not mean that there is no id."""
        text = await self._pool.fetchval(_SELECT, account)
        return None if text is None else AnonymousId(text)

    async def remember(
        self, auth: AuthController, /, *, current: MimiUser | None, error: MimiError | None, **_: object
    ) -> None:
        """Store the id of each user, and delete it once the user is erased. Idempotent: updates may repeat."""
        if current is not None:
            await self._pool.execute(_STORE, auth.account, current.anonymous_id.reveal())
        elif isinstance(error, ErasedAnonymousIdError) and error.anonymous_id is not None:
            await self._pool.execute(_DROP, auth.account, error.anonymous_id.reveal())
