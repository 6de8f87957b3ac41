"""Many callers, one crossing to the thread of the database."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from ..errors import MimiError, StoreError, StoreUnavailableError

_T = TypeVar("_T")

Work = Callable[[sqlite3.Connection], Any]


class _Errand(Generic[_T]):
    """What one caller asks for, and what came of it. Its repr shows nothing: asyncio's debug mode would log it."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], _T], done: "asyncio.Future[None]") -> None:
        self.work = work
        self.done = done
        self.result: _T
        self.error: Exception | None = None

    def end(self) -> None:
        """Wake the caller, if it still waits."""
        if not self.done.done():
            self.done.set_result(None)


class Together:
    """Hands over what is asked for in one turn of the event loop as one job: a crossing costs more than an insert.

    Args:
        run: Does a job, `Database.read` or `Database.write`; where the job raises, nothing of it is kept.
        seconds: How long to wait for it.
    """

    def __init__(self, run: Callable[[Work], Awaitable[None]], seconds: float) -> None:
        self._run = run
        self._seconds = seconds
        self._waiting: list[_Errand[Any]] = []
        self._handed_over: set[asyncio.Task[None]] = set()

    async def do(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what the work returns. It may be done twice, and goes on where the caller is cancelled.

        Raises:
            StoreUnavailableError: The database does not answer, or not in time.
            StoreCorruptError: The database is damaged.
        """
        loop = asyncio.get_running_loop()
        errand = _Errand(work, loop.create_future())
        if not self._waiting:
            loop.call_soon(self._hand_over)
        self._waiting.append(errand)
        await errand.done
        if errand.error is not None:
            raise errand.error
        return errand.result

    async def end(self) -> None:
        """Wait for what was handed over."""
        while self._waiting or self._handed_over:
            await asyncio.sleep(0)
            if self._handed_over:
                await asyncio.wait(self._handed_over)

    def _hand_over(self) -> None:
        errands, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._done(errands))
        self._handed_over.add(task)
        task.add_done_callback(self._handed_over.discard)

    async def _done(self, errands: list[_Errand[Any]]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._run(lambda connection: _do_all(errands, connection))
        except TimeoutError:
            msg = f"the database did not answer within {self._seconds:g} s"
            _fail(errands, StoreUnavailableError(msg))
        except StoreError as error:
            _fail(errands, error)
        except Exception as error:  # noqa: BLE001 - a defect in the work of one must not hurt the others
            if len(errands) == 1:
                errands[0].error = error
            else:
                for errand in errands:
                    await self._done([errand])
        finally:
            for errand in errands:
                errand.end()


def _do_all(errands: list[_Errand[Any]], connection: sqlite3.Connection) -> None:
    for errand in errands:
        errand.result = errand.work(connection)


def _fail(errands: list[_Errand[Any]], error: MimiError) -> None:
    for errand in errands:
        errand.error = error.again()
