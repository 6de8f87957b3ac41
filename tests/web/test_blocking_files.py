"""No page touches a file in the event loop."""

from pathlib import Path

import pytest
from aiohttp import web

from mimi_async.stores import SQLiteStore
from mimi_async.testing import IdentityServer

from ..blocking import files_in_this_thread
from .sites import PAGES, Person, Product

STATIC = ("static/mimi.css", "static/mimi.js", "static/icon.svg")
MISSING = ("no-such-page", "static/no-such-file")


async def get_all(person: Person) -> None:
    for page in (*PAGES, *STATIC, *MISSING):
        assert (await person.get(page)).status < 500


async def test_no_page_touches_a_file_in_the_loop(
    server: IdentityServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = Product(server, store=SQLiteStore(tmp_path / "ids.sqlite3"))
    async with product.run(), product.open_browser() as anna, product.open_browser(None, "de") as unknown:
        with files_in_this_thread(monkeypatch) as found:
            await get_all(unknown)
            await get_all(anna)
            await anna.post("year-of-birth", year_of_birth="soon", sex="")
            await anna.post("year-of-birth", year_of_birth="1980", sex="female")
            await anna.take_test()
            await get_all(anna)
            await anna.submit((await anna.get("edit")).document, year_of_birth="1970")
            await anna.post("edit", {"Sec-Fetch-Site": "cross-site"})
            await anna.submit_to("reset", (await anna.get("reset")).document, sure="yes")
    assert found == []


async def test_no_page_that_fails_touches_a_file_in_the_loop(
    server: IdentityServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(request: web.Request) -> str:
        raise RuntimeError

    product = Product(server, store=SQLiteStore(tmp_path / "ids.sqlite3"))
    failing = Product(server, settings={"account_of": broken})
    async with product.run(), product.open_browser() as anna, failing.run(), failing.open_browser() as ben:
        await anna.post("year-of-birth", year_of_birth="1980", sex="female")
        await server.stop()
        with files_in_this_thread(monkeypatch) as found:
            statuses = {(await anna.get(page)).status for page in PAGES} | {(await ben.get()).status}
    assert statuses >= {500, 503}
    assert found == []
