"""The memory of an idle restored controller."""

import gc
import itertools
import tracemalloc
from collections.abc import AsyncIterator

from .accounts import Accounts, at_once, many_accounts
from .harness import Curve, Line, Scale

_WARM = 200
_COUNTS = (100, 300, 1_000, 3_000, 9_000)


async def memory(scale: Scale) -> AsyncIterator[Line | Curve]:
    """Bytes of a restored controller in the registry, whose user has no hearing test."""
    counts = [scale.of(count, least=10) for count in _COUNTS]
    warm, usual = scale.of(_WARM, least=20), scale.of(4_000)
    async with many_accounts(warm + counts[-1]) as accounts:
        yield Line(
            what="memory of an idle restored controller",
            ours=[await _measure(accounts, warm, usual) for _ in range(scale.rounds)],
            goal=1280,
            moonshot=819,
            kind="bytes",
        )
        sizes = {count: [await _measure(accounts, warm, count)] for count in counts}
    yield Curve(
        name="memory",
        title="Memory of an idle restored controller",
        x="controllers in the registry",
        y="bytes per controller",
        series={"mimi_async": sizes},
    )


async def _measure(accounts: Accounts, warm: int, count: int) -> float:
    """Restore `count` accounts after `warm` ones, which fill caches and free lists; return the bytes of each."""
    async with accounts.core() as core:
        names = iter(accounts.ids)
        await at_once(core.auth_for, itertools.islice(names, warm))
        tracemalloc.start()
        try:
            await at_once(core.auth_for, itertools.islice(names, count))
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / count
        finally:
            tracemalloc.stop()
