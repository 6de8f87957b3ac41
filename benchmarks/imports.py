"""The time of `import mimi_async`."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from functools import partial

from .harness import Batch, Line, Scale, alternate


async def imports(scale: Scale) -> AsyncIterator[Line]:
    """Processes that import the package and exit."""
    # The least that any code over these libraries pays: the libraries that the package requires, and no line of ours.
    ours, theirs = await alternate(
        partial(_run, "import mimi_async"), partial(_run, "import aiohttp, attrs, blinker, tenacity, msgspec"), scale
    )
    yield Line(
        what="import mimi_async",
        against="importing what it needs",
        ours=ours,
        theirs=theirs,
        goal=1.15,
        moonshot=1.05,
        kind="time",
    )


async def _run(code: str) -> Batch:
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
    return time.perf_counter() - start, 1
