"""Two processes of one product, and what their observer got: for tests that change a user elsewhere."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import attrs

from mimi_async import MimiCore

from .launches import App


@attrs.define(eq=False)
class Processes:
    """Two cores of a service on one store that announces no changes, as two processes have them."""

    app: App
    one: MimiCore
    other: MimiCore

    @property
    def replies(self) -> list[int | None]:
        """The status of each reply to a request for the user."""
        return [request.status for request in self.app.server.requests if request.path == "/v1/user"]

    @classmethod
    @asynccontextmanager
    async def launch(cls, app: App) -> AsyncIterator["Processes"]:
        """Both have the same restored user, and show nothing that they have not just asked for."""
        await app.first_launch()
        async with AsyncExitStack() as stack:
            one, other = [await stack.enter_async_context(app.core(user_max_age=0)) for _ in range(2)]
            yield cls(app, one, other)
