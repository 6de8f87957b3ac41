"""Times on the pages: in the zone that the host names, else in UTC, which the page says and the browser rewrites."""

import asyncio
import datetime as dt
import re
from contextlib import AsyncExitStack
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
from aiohttp import web

from mimi_async import HearingTestResult
from mimi_async.testing import IdentityServer
from mimi_async.web.i18n import read_catalogs

from .sites import QUIET, Person, Product

BERLIN = dt.timezone(dt.timedelta(hours=2), "CEST")
SHOWING = ("", "results", "launcher")
IN_UTC = '<time datetime="2026-05-01T22:30:15Z" data-utc>1 May 2026, 22:30 UTC</time>'
IN_BERLIN = '<time datetime="2026-05-01T22:30:15Z">2 May 2026, 00:30</time>'


async def submit(person: Person, taken_at: dt.datetime) -> None:
    auth = await person.product.core.auth_for("anna")
    await auth.ensure_user()
    await auth.submit_hearing_test(HearingTestResult(taken_at=taken_at, calibrated=False, left=QUIET, right=QUIET))


async def times(person: Person, page: str) -> list[str]:
    answer = await person.get(page)
    assert answer.status == 200
    return re.findall("<time.*?</time>", answer.text)


async def make_person(
    stack: AsyncExitStack, server: IdentityServer, timezone: Any, language: str = "en", **settings: Any
) -> Person:
    """Return a person who took a test at half past midnight in Berlin."""
    product = await stack.enter_async_context(Product(server, settings={"timezone": timezone, **settings}).run())
    person = await stack.enter_async_context(product.open_browser("anna", language))
    await submit(person, dt.datetime(2026, 5, 2, 0, 30, 15, 999, tzinfo=BERLIN))
    return person


def naming(zone: Any) -> Any:
    async def timezone(request: web.Request) -> Any:
        assert request.cookies["session"]
        if isinstance(zone, Exception):
            raise zone
        return zone

    return timezone


async def test_a_time_is_in_utc_and_says_so_where_the_host_names_no_zone(
    server: IdentityServer, stack: AsyncExitStack
) -> None:
    for timezone in (None, naming(None)):
        person = await make_person(stack, server, timezone)
        assert [await times(person, page) for page in SHOWING] == [[IN_UTC]] * 3
        assert "Measured on 1 May 2026, 22:30 UTC" in (await person.get("launcher")).document.words


async def test_a_time_is_in_the_zone_that_the_host_names(server: IdentityServer, stack: AsyncExitStack) -> None:
    person = await make_person(stack, server, naming(BERLIN))
    assert [await times(person, page) for page in SHOWING] == [[IN_BERLIN]] * 3


async def test_earlier_tests_have_times_as_well(server: IdentityServer, stack: AsyncExitStack) -> None:
    person = await make_person(stack, server, naming(BERLIN))
    await submit(person, dt.datetime(2026, 5, 3, 12, 0, tzinfo=dt.UTC))
    assert (await times(person, "results"))[1:] == [IN_BERLIN]


async def test_utc_is_said_where_the_host_names_it_and_stays(server: IdentityServer, stack: AsyncExitStack) -> None:
    person = await make_person(stack, server, naming(dt.UTC))
    assert await times(person, "") == ['<time datetime="2026-05-01T22:30:15Z">1 May 2026, 22:30 UTC</time>']


@pytest.mark.parametrize(
    ("moment", "hours"),
    [(dt.datetime(1, 1, 1, 0, 30, tzinfo=dt.UTC), -5), (dt.datetime(9999, 12, 31, 23, 30, tzinfo=dt.UTC), 2)],
)
def test_a_time_at_an_end_of_the_calendar_is_shown_in_utc(moment: dt.datetime, hours: int) -> None:
    zone = dt.timezone(dt.timedelta(hours=hours))
    assert f"{moment.year}, {moment:%H:%M} UTC</time>" in read_catalogs()["en"].time(moment, zone)


class BrokenZone(dt.tzinfo):
    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        msg = "a secret"
        raise RuntimeError(msg)

    def dst(self, when: dt.datetime | None) -> None:
        return None

    def tzname(self, when: dt.datetime | None) -> None:
        return None


def plain(request: web.Request) -> dt.tzinfo:
    return BERLIN


@pytest.mark.parametrize(
    ("timezone", "reason"),
    [
        (naming(ZoneInfoNotFoundError("a secret")), "install the package tzdata"),
        (naming(RuntimeError("a secret")), "RuntimeError in timezone"),
        (naming(TimeoutError("a secret")), "TimeoutError"),
        (naming(web.HTTPFound("/sign-in")), "HTTPFound"),
        (naming("Europe/Berlin"), "returned a str: return a tzinfo, such as zoneinfo.ZoneInfo"),
        (naming(BrokenZone()), "RuntimeError in utcoffset"),
        (plain, "write `async def timezone(request)"),
    ],
)
async def test_a_zone_that_the_host_can_not_name_is_logged_and_the_page_is_shown_in_utc(
    timezone: Any, reason: str, server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    person = await make_person(stack, server, timezone)
    assert await times(person, "") == [IN_UTC]
    (line,) = [record for record in caplog.records if record.name == "mimi_async.web.dispatch"]
    assert line.levelname == "ERROR"
    assert line.message.startswith("timezone failed, times are shown in UTC: ")
    assert reason in line.message
    assert "a secret" not in line.message


async def test_a_zone_that_is_late_is_logged_and_the_page_is_shown_in_utc(
    server: IdentityServer, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    async def timezone(request: web.Request) -> dt.tzinfo:
        await asyncio.Event().wait()
        return BERLIN

    person = await make_person(stack, server, timezone, timeout=0.05)
    assert await times(person, "launcher") == [IN_UTC]
    assert "timezone failed, times are shown in UTC: TimeoutError" in caplog.text


async def test_the_script_of_the_hearing_test_asks_for_no_zone(server: IdentityServer, stack: AsyncExitStack) -> None:
    asked = 0

    async def timezone(request: web.Request) -> dt.tzinfo:
        nonlocal asked
        asked += 1
        return BERLIN

    person = await make_person(stack, server, timezone)
    assert (await person.send("test/begin", {}))[0] == 200
    assert asked == 0


def test_a_text_with_a_time_in_it_is_escaped_but_for_the_time() -> None:
    words = read_catalogs()["en"]
    text = words.html("launcher.known.test", date="<b>")
    assert text == "Measured on &lt;b&gt;"
    moment = dt.datetime(2026, 5, 1, 22, 30, 15, tzinfo=dt.UTC)
    assert words.html("launcher.known.test", date=words.time(moment, None)) == f"Measured on {IN_UTC}"
