"""A host with a table of ids, and cores whose observer writes to it."""

import asyncio

import attrs

from mimi_async import AnonymousId, AuthController, MimiCore, UserUpdate

from ..doubles import then
from .launches import App


@attrs.define(eq=False)
class Host:
    """A host with a table of ids, whose observer writes to it: slowly, or with failures."""

    ids: dict[str, AnonymousId] = attrs.field(factory=dict)
    failures: int = 0
    may_write: asyncio.Event = attrs.field(factory=asyncio.Event)
    has_begun: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def known_id(self, account: str) -> AnonymousId | None:
        return self.ids.get(account)

    async def remember(self, auth: AuthController, update: UserUpdate) -> None:
        self.has_begun.set()
        await self.may_write.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        if update.current is not None:
            self.ids[auth.account] = update.current.anonymous_id


def core_of(app: App, host: Host, *, with_known_id: bool, **settings: object) -> MimiCore:
    core = app.core(**{"known_id": host.known_id if with_known_id else None, **settings})
    core.observe(then(host.remember))
    return core
