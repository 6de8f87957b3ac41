"""What `import mimi_async` costs."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from functools import partial

from .harness import Line, Scale, in_turn


async def imports(scale: Scale) -> AsyncIterator[Line]:
    """Whole processes that import and end."""
    ours, theirs = await in_turn(
        partial(_run, "import mimi_async"),
        partial(_run, "import aiohttp, attrs, blinker, tenacity, msgspec"),
        3 * scale.pairs,
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


async def _run(code: str) -> float:
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
    return time.perf_counter() - begun
