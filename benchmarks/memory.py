"""What an account costs that is restored and idle."""

import gc
import itertools
import tracemalloc
from collections.abc import AsyncIterator

from .accounts import at_once, many_accounts
from .harness import Line, Scale


async def memory(scale: Scale) -> AsyncIterator[Line]:
    """Bytes of a restored controller in the registry, whose user has no hearing test."""
    warm, count = 200, scale.of(4_000)
    sizes = []
    async with many_accounts(warm + count) as accounts:
        for _ in range(min(scale.pairs, 3)):
            async with accounts.core() as core:
                names = iter(accounts.ids)
                await at_once(core.auth_for, itertools.islice(names, warm))
                tracemalloc.start()
                try:
                    await at_once(core.auth_for, names)
                    gc.collect()
                    sizes.append(tracemalloc.get_traced_memory()[0] / count)
                finally:
                    tracemalloc.stop()
    yield Line(
        what="memory of an idle restored controller",
        against="",
        ours=sizes,
        theirs=[],
        goal=1280,
        moonshot=819,
        kind="bytes",
    )
