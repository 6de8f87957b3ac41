from collections.abc import AsyncIterator

import pytest

from mimi_async import AuthController, MimiUser
from mimi_async.testing import IdentityServer


@pytest.fixture
async def server() -> AsyncIterator[IdentityServer]:
    async with IdentityServer() as server:
        yield server


async def view(auth: AuthController) -> MimiUser | None:
    return auth.current_user
