"""The cost of the gate for a view of a restored account."""

import time
from collections.abc import AsyncIterator
from functools import partial

from mimi_async import AuthController, MimiCore

from .accounts import many_accounts
from .harness import Batch, Line, Scale, alternate


async def present(scale: Scale) -> AsyncIterator[Line]:
    """`present(view)` of a restored account: the app's own, and another one."""
    times = scale.of(50_000)
    async with many_accounts(2) as accounts:
        own, other = accounts.ids
        async with accounts.core(own) as core:
            await core.auth_for(other)
            bare = partial(_bare, core.auth, times)
            for whose, presented in (
                ("the app's own account", partial(_own, core, times)),
                ("another account", partial(_other, core, other, times)),
            ):
                ours, theirs = await alternate(presented, bare, scale)
                yield Line(
                    what=f"present(view) when restored, {whose}",
                    against="await view()",
                    ours=ours,
                    theirs=theirs,
                    goal=1.0,
                    moonshot=0.2,
                    kind="added",
                )


async def _view(auth: AuthController) -> str:
    return auth.account


async def _bare(auth: AuthController, times: int) -> Batch:
    # The view itself. Each loop is written out: a shared one would add a call to both, and so hide the difference.
    start = time.perf_counter()
    for _ in range(times):
        await _view(auth)
    return time.perf_counter() - start, times


async def _own(core: MimiCore, times: int) -> Batch:
    start = time.perf_counter()
    for _ in range(times):
        await core.present(_view)
    return time.perf_counter() - start, times


async def _other(core: MimiCore, account: str, times: int) -> Batch:
    start = time.perf_counter()
    for _ in range(times):
        await core.present(_view, account=account)
    return time.perf_counter() - start, times
