"""A product of the partner as a web service: its pages, refused requests, and the pages of Mimi in it."""

import asyncio
import logging
from pathlib import Path

import pytest

from examples.partner_service.accounts import Accounts
from examples.partner_service.pages import HEADERS
from examples.partner_service.site import CORE
from mimi_async import NotStartedError
from mimi_async.testing import IdentityServer

from .sites import OF_THIS_SITE, Person, Site, person, product_of, running

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eanna\u2066\u200f",
    "👩🏽‍🦻 & co.",
    "x" * 200,
)
FORM = "application/x-www-form-urlencoded"


async def test_the_home_page_names_the_account_and_links_to_the_views(site: Site, anna: Person) -> None:
    signed_out = await anna.get(f"{site.url}/")
    anna.carry(site, "anna")
    home = await anna.get(f"{site.url}/")

    assert "You are not signed in" in signed_out.text
    assert {"/sign-in"} <= {*signed_out.links}
    assert await anna.account(site) == "anna"
    assert {"/mimi/", "/mimi/launcher"} <= {*home.links}
    assert '<a class="button" href="/mimi/">' in home.markup
    assert '<button class="quiet">Sign out</button>' in home.markup
    assert home.text.count("Acme Player") == 3  # the title, the header and the heading
    assert "Acme player" not in home.text


async def test_a_name_is_escaped_on_every_page(site: Site, anna: Person) -> None:
    pages = {}
    for account in ("anna", *HOSTILE):
        async with person() as client:
            client.carry(site, account)
            home = await client.get(f"{site.url}/")
            refused = await client.sign_in(site, account, "short")
        assert account in home.text
        assert account in refused.values
        pages[account] = home.elements, refused.elements
    assert [account for account, elements in pages.items() if elements != pages["anna"]] == []


async def test_the_sign_in_page_has_a_language_and_labels(site: Site, anna: Person) -> None:
    page = await anna.get(f"{site.url}/sign-in")
    style = await anna.get(f"{site.url}/site.css")

    assert '<html lang="en">' in page.markup
    assert page.elements.count("label for") == 2
    assert "a new name creates a new account" in page.text
    assert (style.status, style.fields["Content-Type"]) == (200, "text/css")


REQUESTS: list[tuple[str, str, dict[str, str], bytes, int]] = [
    ("GET", "/", {}, b"", 200),
    ("HEAD", "/", {}, b"", 200),
    ("GET", "/sign-in", {}, b"", 200),
    ("GET", "/site.css", {}, b"", 200),
    ("GET", "/theme.css", {}, b"", 200),
    ("GET", "/icon.svg", {}, b"", 200),
    ("POST", "/sign-out", OF_THIS_SITE, b"", 303),
    ("POST", "/sign-in", {**OF_THIS_SITE, "Content-Type": FORM}, b"account=%ED%A0%80&password=x", 400),
    ("POST", "/sign-in", {**OF_THIS_SITE, "Content-Type": f"{FORM}; charset=no-such"}, b"account=\xff", 400),
    ("POST", "/sign-in", {**OF_THIS_SITE, "Content-Type": FORM, "Content-Encoding": "gzip"}, b"no gzip", 400),
    ("POST", "/sign-in", {"Sec-Fetch-Site": "cross-site"}, b"", 403),
    ("GET", "/nowhere", {}, b"", 404),
    ("DELETE", "/sign-in", OF_THIS_SITE, b"", 405),
    ("POST", "/sign-in", {**OF_THIS_SITE, "Content-Type": FORM}, b"a=" + bytes(100_000), 413),
    ("POST", "/sign-in", {**OF_THIS_SITE, "Content-Type": "application/json"}, b"{}", 415),
    ("POST", "/sign-in", {**OF_THIS_SITE, "Content-Type": FORM}, b"account=&password=x", 422),
]


async def test_every_response_has_the_security_headers(site: Site) -> None:
    for method, path, fields, body, status in REQUESTS:
        async with person() as client:  # the site closes the connection of a body that it cannot read
            page = await client.ask(method, f"{site.url}{path}", headers=fields, data=body)
        assert (page.status, page.fields.get("Allow") is not None) == (status, status == 405), (method, path, body)
        assert {name: page.fields.get(name) for name in HEADERS} == HEADERS
        assert page.fields.getall("Content-Security-Policy") == [HEADERS["Content-Security-Policy"]]  # type: ignore[attr-defined]  # a multidict


async def test_a_defect_gives_an_error_page_without_details(
    site: Site, anna: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        msg = "the table is gone"
        raise OSError(msg)

    monkeypatch.setattr(Accounts, "known_id", broken)
    anna.carry(site, "anna")
    with caplog.at_level(logging.ERROR):
        page = await anna.get(f"{site.url}/")

    assert page.status == 500
    assert "try again later" in page.text
    assert "the table is gone" not in page.text
    assert {name: page.fields.get(name) for name in HEADERS} == HEADERS
    assert "the table is gone" in caplog.text


@pytest.mark.parametrize(
    ("status", "account", "cases"),
    [
        (
            403,
            "anna",
            [
                {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "same-site"},
                {"Sec-Fetch-Site": ""},
                {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
                {"Origin": "http://evil.example"},
                {"Origin": "http://127.0.0.1"},
                {"Origin": "http://127.0.0.1:1"},
                {"Origin": "http://evil.example@{host}"},
                {"Origin": "http://{host}.evil.example"},
                {"Origin": "null"},
                {"Origin": "http://"},
                {"X-Nothing": "at all"},
            ],
        ),
        (
            303,
            None,
            [
                {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
                {"Sec-Fetch-Site": "none"},
                {"Origin": "http://{host}"},
                {"Origin": "https://{host}"},
            ],
        ),
    ],
    ids=["of another site", "of the same origin"],
)
async def test_a_form_is_accepted_from_the_same_origin_only(
    status: int, account: str | None, cases: list[dict[str, str]], site: Site, anna: Person
) -> None:
    host = site.url.removeprefix("http://")
    for fields in cases:
        anna.carry(site, "anna")
        sent = {name: text.format(host=host) for name, text in fields.items()}
        page = await anna.post(f"{site.url}/sign-out", fields=sent)
        assert (page.status, await anna.account(site)) == (status, account), fields


async def test_the_observer_fills_the_table_of_accounts_while_the_site_runs(site: Site, anna: Person) -> None:
    anna.carry(site, "anna")
    before = await anna.get(f"{site.url}/")
    user = await (await site.app[CORE].auth_for("anna")).ensure_user()
    after = await anna.get(f"{site.url}/")

    assert await site.product.accounts.known_id("anna") == user.anonymous_id
    assert "Your account has no hearing profile yet" in before.text
    assert "Your account has a hearing profile" in after.text
    shown = user.anonymous_id.masked.strip("…")
    assert shown not in after.markup, "not even the part of the id that a log may show"


async def test_both_products_show_one_profile(mimi_server: IdentityServer, tmp_path: Path) -> None:
    products = [product_of(mimi_server, tmp_path, name) for name in ("player", "tv")]
    async with running(products[0]) as player, running(products[1]) as tv:
        made = await (await player.app[CORE].auth_for("anna")).ensure_user()
        found = await (await tv.app[CORE].auth_for("anna")).ensure_user()
    assert made == found
    assert mimi_server.users == 1


async def test_the_service_enters_and_leaves_the_core(mimi_server: IdentityServer, tmp_path: Path) -> None:
    async with running(product_of(mimi_server, tmp_path)) as site:
        await site.app[CORE].auth_for("anna")
    with pytest.raises(NotStartedError):
        await site.app[CORE].auth_for("anna")


async def test_the_pages_of_mimi_use_the_session_and_the_theme_and_link_back(site: Site, anna: Person) -> None:
    signed_out = await anna.get(f"{site.url}/mimi/")
    anna.carry(site, "anna")
    profile, launcher = await asyncio.gather(*(anna.get(f"{site.url}/mimi/{path}") for path in ("", "launcher")))
    without_slash = await anna.get(f"{site.url}/mimi")
    theme = await anna.get(f"{site.url}/theme.css")

    assert signed_out.status == 401
    assert "../sign-in?next=/mimi/" in signed_out.links
    assert (profile.status, launcher.status) == (200, 200)
    assert "script-src 'self'" in profile.fields["Content-Security-Policy"]
    assert {"../", "../theme.css"} <= {*profile.links}
    assert "Back to the app" in profile.text
    assert (without_slash.status, without_slash.fields["Location"]) == (303, "/mimi/")
    assert (theme.status, theme.fields["Content-Type"]) == (200, "text/css")


async def test_onboarding_on_the_pages_of_mimi_stores_the_id(
    site: Site, anna: Person, mimi_server: IdentityServer
) -> None:
    anna.carry(site, "anna")
    sent = await anna.onboard(site.url)

    assert sent.status == 303
    assert mimi_server.users == 1
    assert await site.product.accounts.known_id("anna") is not None


@pytest.mark.parametrize("is_known_again", [True, False], ids=["known again", "rejected"])
async def test_start_over_quarantines_an_id_that_is_still_rejected_and_no_other(
    is_known_again: bool, site: Site, anna: Person, mimi_server: IdentityServer
) -> None:
    anna.carry(site, "anna")
    await anna.onboard(site.url)
    known = await site.product.accounts.known_id("anna")
    mimi_server.revoke_tokens()
    mimi_server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1 if is_known_again else 2)
    refused = await anna.get(f"{site.url}/mimi/")
    decided = await anna.post(f"{site.url}/mimi/start-over", {"sure": "yes"})
    profile = await anna.get(f"{site.url}/mimi/")

    assert (refused.status, decided.status, profile.status) == (409, 303, 200)
    assert ("Your hearing profile" in profile.text) == is_known_again
    assert await site.product.accounts.known_id("anna") == (known if is_known_again else None)
    assert await site.product.accounts.quarantined_ids("anna") == ([] if is_known_again else [known])
