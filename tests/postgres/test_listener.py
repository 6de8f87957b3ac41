"""A listener hears what is said on its channel, and notices by itself when it no longer would."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Self

import asyncpg
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.errors import StoreUnavailableError
from mimi_async.postgres import Address, Database, Listener, Source

from .test_database import NUMBERS
from .wire import Wire

MISSED = "missed"


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def dsn(own_postgres: Postgres) -> str:
    return own_postgres.make_database()


@asynccontextmanager
async def listening(source: Source, *, address: str | None = None, beat: float = 0.3) -> AsyncIterator[Listener[str]]:
    database = Database(source, NUMBERS, seconds=2.0)
    await database.open(make=True)
    listener = Listener(
        database, "numbers", str.upper, missed=MISSED, address=None if address is None else Address(address)
    )
    listener.beat = beat
    yield listener
    await listener.close()
    await database.close()


def listeners(server: Postgres) -> int:
    """How many connections there are that listen."""
    return int(server.tell("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what another process shows
            await asyncio.sleep(0.05)


class Ear:
    """Iterates the news of a listener, in a task of its own, and keeps them."""

    def __init__(self, listener: Listener[str]) -> None:
        self._kept: asyncio.Queue[str] = asyncio.Queue()
        self.task = asyncio.create_task(self._listen(listener), name="ear")

    async def __aenter__(self) -> Self:
        assert await self.next() == MISSED
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def next(self, within: float = 30.0) -> str:
        async with asyncio.timeout(within):
            return await self._kept.get()

    async def hears(self, word: str) -> bool:
        """Tell whether it is the next that is heard, but for what was missed."""
        while (heard := await self.next()) == MISSED:
            pass
        return heard == word

    async def hears_nothing(self, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            await self.next(seconds)

    async def _listen(self, listener: Listener[str]) -> None:
        async with aclosing(listener.news()) as news:
            async for word in news:
                self._kept.put_nowait(word)


def say(server: Postgres, dsn: str, message: str) -> None:
    server.tell(f"SELECT pg_notify('numbers', '{message}')", dsn.rpartition("/")[2])


def others() -> set[asyncio.Task[object]]:
    """All tasks but the one of the test."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_hears_what_is_said_and_passes_on_what_it_means(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener, Ear(listener) as ear:
        say(own_postgres, dsn, "one")
        assert await ear.next(within=1.0) == "ONE"


async def test_whoever_comes_later_is_told_at_once_that_it_hears(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn, beat=60.0) as listener, Ear(listener) as first, Ear(listener) as second:
        say(own_postgres, dsn, "one")
        assert [await first.next(), await second.next()] == ["ONE", "ONE"]


async def test_what_means_nothing_is_passed_on_to_nobody(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener, Ear(listener) as ear:
        listener._read = lambda word: None if word == "nothing" else word
        say(own_postgres, dsn, "nothing")
        say(own_postgres, dsn, "one")
        assert await ear.next() == "one"


async def test_silence_is_no_loss(own_postgres: Postgres, dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(dsn) as listener, Ear(listener) as ear:
        await ear.hears_nothing(2.0)
    assert caplog.messages == []


async def test_many_listeners_beat_no_more_often_than_one(own_postgres: Postgres, dsn: str) -> None:
    beats: list[str] = []
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(dsn)
        stack.push_async_callback(connection.close)
        await connection.add_listener("numbers", lambda *said: beats.append(said[-1]))
        for _ in range(8):
            listener = await stack.enter_async_context(listening(dsn, beat=1.0))
            await stack.enter_async_context(Ear(listener))
        beats.clear()
        await asyncio.sleep(4.2)
    assert 1 < len(beats) < 12  # 17 at least, if each beat for itself


@pytest.mark.parametrize("kill", ["terminate", "restart"])
async def test_a_lost_connection_is_made_anew(
    own_postgres: Postgres, dsn: str, caplog: pytest.LogCaptureFixture, kill: str
) -> None:
    async with listening(dsn, beat=60.0) as listener, Ear(listener) as ear:
        if kill == "restart":
            await asyncio.to_thread(own_postgres.restart)
        else:
            own_postgres.tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert await ear.next() == MISSED
        say(own_postgres, dsn, "one")
        assert await ear.hears("ONE")
    assert "the connection that listens for changes was lost" in caplog.text
    assert "postgresql://" not in caplog.text


async def test_a_connection_that_swallows_everything_is_noticed(
    own_postgres: Postgres, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Wire(dsn) as wire, listening(dsn, address=wire.dsn) as listener, Ear(listener) as ear:
        wire.swallows = True
        say(own_postgres, dsn, "lost")
        await until(lambda: "was not heard on it" in caplog.text)
        wire.swallows = False
        assert await ear.next() == MISSED
        say(own_postgres, dsn, "one")
        assert await ear.hears("ONE")
    assert "postgresql://" not in caplog.text


async def test_a_database_that_swallowed_everything_is_listened_to_again(own_postgres: Postgres, dsn: str) -> None:
    async with Wire(dsn) as wire, listening(wire.dsn) as listener, Ear(listener) as ear:
        wire.swallows = True
        say(own_postgres, dsn, "lost")
        await ear.hears_nothing(3.0)
        wire.swallows = False
        assert await ear.next() == MISSED
        say(own_postgres, dsn, "one")
        assert await ear.hears("ONE")


async def test_goes_on_after_the_server_has_stood_still(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener, Ear(listener) as ear:
        with own_postgres.frozen():
            await ear.hears_nothing(3.0)
        say(own_postgres, dsn, "one")
        assert await ear.hears("ONE")


async def test_a_server_that_is_gone_is_waited_for(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener, Ear(listener) as ear:
        await asyncio.to_thread(own_postgres.stop)
        await ear.hears_nothing(1.0)
        await asyncio.to_thread(own_postgres.start)
        assert await ear.next() == MISSED


async def test_an_exhausted_pool_is_no_sign_of_a_lost_connection(own_postgres: Postgres, dsn: str) -> None:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=0, max_size=2))
        listener = await stack.enter_async_context(listening(pool, beat=0.1))
        ear = await stack.enter_async_context(Ear(listener))
        async with pool.acquire():
            await ear.hears_nothing(3.0)
        say(own_postgres, dsn, "one")
        assert await ear.next() == "ONE"


async def test_who_is_slow_gets_what_is_said_of_the_same_once(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener, aclosing(listener.news()) as news:
        assert await anext(news) == MISSED
        for word in ("one", "two", "one", "three", "one"):
            listener.tell(word)
        assert [await anext(news) for _ in range(3)] == ["one", "two", "three"]
        for word in ("four", MISSED, "five"):
            listener.tell(word)
        assert await anext(news) == MISSED
        listener.tell("six")
        assert await anext(news) == "six"


async def test_who_is_far_too_slow_has_missed_something(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener, aclosing(listener.news()) as news:
        assert await anext(news) == MISSED
        for number in range(10_001):
            listener.tell(f"{number}")
        assert await anext(news) == MISSED
        listener.tell("one")
        assert await anext(news) == "one"


@pytest.mark.parametrize("is_pool", [False, True], ids=["address", "pool"])
async def test_closing_at_any_moment_leaves_no_task_and_no_connection(
    own_postgres: Postgres, dsn: str, is_pool: bool
) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=3) as pool, AsyncExitStack() as stack:
        listener = await stack.enter_async_context(listening(pool if is_pool else dsn, beat=0.005))
        for number in range(60):
            ear = Ear(listener)
            await asyncio.sleep(random.random() * 0.001 * number)
            await ear.close()
            assert [task for task in others() if "listening" in task.get_name()] == []
        await until(lambda: others() == set() and listeners(own_postgres) == 0)
        async with Ear(listener) as ear:
            say(own_postgres, dsn, "one")
            assert await ear.hears("ONE")


async def test_once_it_is_closed_nothing_is_under_way(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener:
        news = listener.news()
        assert await anext(news) == MISSED
        await news.aclose()
        assert others() == set()


@pytest.mark.parametrize("is_connected", [True, False])
async def test_closing_does_not_wait_for_a_server_that_stands_still(
    own_postgres: Postgres, dsn: str, is_connected: bool
) -> None:
    async with listening(dsn) as listener:
        ear = Ear(listener)
        if is_connected:
            assert await ear.next() == MISSED
        with own_postgres.frozen():
            await ear.hears_nothing(1.5)
            async with asyncio.timeout(1):
                await ear.close()
            await until(lambda: others() == set())
        await until(lambda: listeners(own_postgres) == 0)


async def test_closing_the_listener_ends_all_who_iterate(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener:
        async with Ear(listener) as first, Ear(listener) as second:
            await listener.close()
            await asyncio.wait([first.task, second.task], timeout=10)
            assert first.task.done()
            assert second.task.done()
        async with Ear(listener):
            pass


async def test_an_error_of_ours_reaches_whoever_iterates(own_postgres: Postgres, dsn: str) -> None:
    async with listening(dsn) as listener:
        listener.tell = lambda _: 1 / 0  # type: ignore[method-assign,assignment]  # what nobody foresees
        with pytest.raises(ZeroDivisionError):
            await anext(listener.news())


async def test_nobody_listens_to_what_is_not_open(dsn: str) -> None:
    listener = Listener(Database(dsn, NUMBERS), "numbers", str.upper, missed=MISSED)
    with pytest.raises(StoreUnavailableError, match="is not open"):
        await anext(listener.news())
