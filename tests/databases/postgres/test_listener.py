"""A listener yields the notifications of its channel, and notices when its connection no longer receives any."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import asyncpg
import pytest

from mimi_async.databases.postgres import Address, Database, Listener, Source
from mimi_async.errors import NotStartedError

from ...auth.change_feeds import until
from ...postgres_server import Postgres
from .numbers import NUMBERS, open_numbers
from .subscriber import Subscriber
from .wire import Wire

MISSED = "missed"


@pytest.fixture(scope="module")
def dsn(own_postgres: Postgres) -> str:
    return own_postgres.make_database()


@asynccontextmanager
async def open_listener(
    source: Source, *, address: str | None = None, heartbeat: float = 0.3
) -> AsyncIterator[Listener[str]]:
    async with open_numbers(source, timeout=2.0) as database:
        given = None if address is None else Address(address)
        listener = Listener(database, "numbers", str.upper, missed=MISSED, address=given, heartbeat=heartbeat)
        yield listener
        await listener.close()


def count_listeners(server: Postgres) -> int:
    """Return the number of connections that listen."""
    return int(server.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"))


def subscribe(listener: Listener[str]) -> Subscriber[str]:
    return Subscriber(listener.messages(), MISSED)


def notify(server: Postgres, dsn: str, message: str) -> None:
    server.execute(f"SELECT pg_notify('numbers', '{message}')", dsn.rpartition("/")[2])


def list_other_tasks() -> set[asyncio.Task[object]]:
    """Return all tasks but the one of the test."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_yields_what_a_notification_means(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener, subscribe(listener) as subscriber:
        notify(own_postgres, dsn, "one")
        assert await subscriber.next(within=1.0) == "ONE"


async def test_a_later_subscriber_gets_missed_at_once(own_postgres: Postgres, dsn: str) -> None:
    async with (
        open_listener(dsn, heartbeat=60.0) as listener,
        subscribe(listener) as first,
        subscribe(listener) as second,
    ):
        notify(own_postgres, dsn, "one")
        assert [await first.next(), await second.next()] == ["ONE", "ONE"]


async def test_a_notification_without_a_meaning_is_not_yielded(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener, subscribe(listener) as subscriber:
        listener._read = lambda text: None if text == "nothing" else text
        notify(own_postgres, dsn, "nothing")
        notify(own_postgres, dsn, "one")
        assert await subscriber.next() == "one"


async def test_silence_is_not_a_loss(own_postgres: Postgres, dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_listener(dsn) as listener, subscribe(listener) as subscriber:
        caplog.clear()  # the opening warns that it has created the tables
        await subscriber.expect_nothing(1.5)
    assert caplog.messages == []


async def test_many_listeners_send_no_more_heartbeats_than_one(own_postgres: Postgres, dsn: str) -> None:
    heartbeats: list[str] = []
    async with AsyncExitStack() as stack:
        connection = await asyncpg.connect(dsn)
        stack.push_async_callback(connection.close)
        await connection.add_listener("numbers", lambda *notification: heartbeats.append(notification[-1]))
        for _ in range(8):
            listener = await stack.enter_async_context(open_listener(dsn, heartbeat=1.0))
            await stack.enter_async_context(subscribe(listener))
        heartbeats.clear()
        await asyncio.sleep(4.2)
    assert 1 < len(heartbeats) < 12  # 17 at least, if each sent its own


@pytest.mark.parametrize("kill", ["terminate", "restart"])
async def test_a_lost_connection_is_replaced(
    own_postgres: Postgres, dsn: str, caplog: pytest.LogCaptureFixture, kill: str
) -> None:
    async with open_listener(dsn, heartbeat=60.0) as listener, subscribe(listener) as subscriber:
        if kill == "restart":
            await asyncio.to_thread(own_postgres.restart)
        else:
            own_postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert await subscriber.next() == MISSED
        notify(own_postgres, dsn, "one")
        assert await subscriber.next_but_missed() == "ONE"
    assert "the connection that listens for changes was lost" in caplog.text
    assert not [each for each in caplog.records if "listener" in each.name and "postgresql://" in each.getMessage()]


async def test_a_connection_that_drops_everything_is_noticed(
    own_postgres: Postgres, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Wire(dsn) as wire, open_listener(dsn, address=wire.dsn) as listener, subscribe(listener) as subscriber:
        wire.is_dropping = True
        notify(own_postgres, dsn, "lost")
        await until(lambda: "did not receive a notification" in caplog.text)
        wire.is_dropping = False
        assert await subscriber.next() == MISSED
        notify(own_postgres, dsn, "one")
        assert await subscriber.next_but_missed() == "ONE"
    assert not [each for each in caplog.records if "listener" in each.name and "postgresql://" in each.getMessage()]


async def test_a_database_that_dropped_everything_is_listened_to_again(own_postgres: Postgres, dsn: str) -> None:
    async with Wire(dsn) as wire, open_listener(wire.dsn) as listener, subscribe(listener) as subscriber:
        wire.is_dropping = True
        notify(own_postgres, dsn, "lost")
        await subscriber.expect_nothing(2.0)
        wire.is_dropping = False
        assert await subscriber.next() == MISSED
        notify(own_postgres, dsn, "one")
        assert await subscriber.next_but_missed() == "ONE"


async def test_goes_on_after_the_server_was_frozen(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener, subscribe(listener) as subscriber:
        with own_postgres.frozen():
            await subscriber.expect_nothing(2.0)
        notify(own_postgres, dsn, "one")
        assert await subscriber.next_but_missed() == "ONE"


async def test_waits_for_a_server_that_was_stopped(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener, subscribe(listener) as subscriber:
        await asyncio.to_thread(own_postgres.stop)
        await subscriber.expect_nothing(1.0)
        await asyncio.to_thread(own_postgres.start)
        assert await subscriber.next() == MISSED


async def test_an_exhausted_pool_is_not_a_lost_connection(own_postgres: Postgres, dsn: str) -> None:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=0, max_size=2))
        listener = await stack.enter_async_context(open_listener(pool, heartbeat=0.1))
        subscriber = await stack.enter_async_context(subscribe(listener))
        async with pool.acquire():
            await subscriber.expect_nothing(2.0)
        notify(own_postgres, dsn, "one")
        assert await subscriber.next() == "ONE"


async def test_a_slow_subscriber_gets_equal_messages_once(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener, aclosing(listener.messages()) as messages:
        assert await anext(messages) == MISSED
        for message in ("one", "two", "one", "three", "one"):
            listener.publish(message)
        assert [await anext(messages) for _ in range(3)] == ["one", "two", "three"]
        for message in ("four", MISSED, "five"):
            listener.publish(message)
        assert await anext(messages) == MISSED
        listener.publish("six")
        assert await anext(messages) == "six"


async def test_a_subscriber_that_is_far_too_slow_gets_missed(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener, aclosing(listener.messages()) as messages:
        assert await anext(messages) == MISSED
        for number in range(10_001):
            listener.publish(f"{number}")
        assert await anext(messages) == MISSED
        listener.publish("one")
        assert await anext(messages) == "one"


@pytest.mark.parametrize("is_pool", [False, True], ids=["address", "pool"])
async def test_closing_at_any_moment_leaves_no_task_and_no_connection(
    own_postgres: Postgres, dsn: str, is_pool: bool
) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=3) as pool, AsyncExitStack() as stack:
        listener = await stack.enter_async_context(open_listener(pool if is_pool else dsn, heartbeat=0.005))
        for number in range(60):
            subscriber = subscribe(listener)
            await asyncio.sleep(random.random() * 0.001 * number)
            await subscriber.close()
            assert [task for task in list_other_tasks() if "listening" in task.get_name()] == []
        await until(lambda: list_other_tasks() == set() and count_listeners(own_postgres) == 0)
        async with subscribe(listener) as subscriber:
            notify(own_postgres, dsn, "one")
            assert await subscriber.next_but_missed() == "ONE"


async def test_nothing_runs_once_it_is_closed(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener:
        messages = listener.messages()
        assert await anext(messages) == MISSED
        await messages.aclose()
        assert list_other_tasks() == set()


@pytest.mark.parametrize("is_connected", [True, False])
async def test_closing_does_not_wait_for_a_frozen_server(own_postgres: Postgres, dsn: str, is_connected: bool) -> None:
    async with open_listener(dsn) as listener:
        subscriber = subscribe(listener)
        if is_connected:
            assert await subscriber.next() == MISSED
        with own_postgres.frozen():
            await subscriber.expect_nothing(1.5)
            async with asyncio.timeout(1):
                await subscriber.close()
            await until(lambda: list_other_tasks() == set())
        await until(lambda: count_listeners(own_postgres) == 0)


async def test_closing_the_listener_ends_all_subscribers(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener:
        async with subscribe(listener) as first, subscribe(listener) as second:
            await listener.close()
            await asyncio.wait([first.task, second.task], timeout=10)
            assert first.task.done()
            assert second.task.done()
        async with subscribe(listener):
            pass


async def test_an_error_of_the_listener_reaches_its_subscribers(own_postgres: Postgres, dsn: str) -> None:
    async with open_listener(dsn) as listener:
        listener.publish = lambda _: 1 / 0  # type: ignore[method-assign,assignment]  # an error that nothing foresees
        with pytest.raises(ZeroDivisionError):
            await anext(listener.messages())


async def test_refuses_a_database_that_is_not_open(dsn: str) -> None:
    listener = Listener(Database(dsn, NUMBERS), "numbers", str.upper, missed=MISSED)
    with pytest.raises(NotStartedError, match="is not open"):
        await anext(listener.messages())
