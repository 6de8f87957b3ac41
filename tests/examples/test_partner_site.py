"""A product of the partner as a web service: its pages, what they refuse, and the pages of Mimi within."""

import asyncio
import logging
from pathlib import Path

import pytest

from examples.partner_service.accounts import Accounts
from examples.partner_service.pages import FIELDS
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


# What it shows -------------------------------------------------------------------------------------------------------


async def test_the_home_page_says_who_is_signed_in_and_leads_to_the_views(site: Site, anna: Person) -> None:
    stranger = await anna.get(f"{site.url}/")
    anna.carry(site, "anna")
    home = await anna.get(f"{site.url}/")

    assert "Nobody is signed in" in stranger.text
    assert {"/sign-in"} <= {*stranger.links}
    assert await anna.who(site) == "anna"
    assert {"/mimi/", "/mimi/launcher"} <= {*home.links}
    assert '<a class="button" href="/mimi/">' in home.markup
    assert '<button class="quiet">Sign out</button>' in home.markup
    assert home.text.count("Acme Player") == 3  # the title, the header and the heading
    assert "Acme player" not in home.text


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_a_name_is_text_on_every_page(name: str, site: Site, anna: Person) -> None:
    pages = {}
    for account in ("anna", name):
        async with person() as somebody:
            somebody.carry(site, account)
            home = await somebody.get(f"{site.url}/")
            refused = await somebody.sign_in(site, account, "short")
        assert account in home.text
        assert account in refused.values
        pages[account] = home.elements, refused.elements
    assert pages[name] == pages["anna"]


async def test_pages_are_written_for_people(site: Site, anna: Person) -> None:
    page = await anna.get(f"{site.url}/sign-in")
    style = await anna.get(f"{site.url}/site.css")

    assert '<html lang="en">' in page.markup
    assert page.elements.count("label for") == 2
    assert "new makes a new account" in page.text
    assert (style.status, style.fields["Content-Type"]) == (200, "text/css")


# What each reply carries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "fields", "body", "status"),
    [
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
    ],
)
async def test_every_reply_is_hardened(
    method: str, path: str, fields: dict[str, str], body: bytes, status: int, site: Site, anna: Person
) -> None:
    page = await anna.ask(method, f"{site.url}{path}", headers=fields, data=body)

    assert page.status == status
    assert {name: page.fields.get(name) for name in FIELDS} == FIELDS
    assert page.fields.getall("Content-Security-Policy") == [FIELDS["Content-Security-Policy"]]  # type: ignore[attr-defined]  # a multidict
    assert ("Allow" in page.fields) == (status == 405)


async def test_a_defect_is_a_page_too_and_tells_nothing(
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
    assert {name: page.fields.get(name) for name in FIELDS} == FIELDS
    assert "the table is gone" in caplog.text


# Who may send a form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
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
    ids=str,
)
async def test_a_form_of_another_site_is_refused(fields: dict[str, str], site: Site, anna: Person) -> None:
    anna.carry(site, "anna")
    host = site.url.removeprefix("http://")
    sent = {name: text.format(host=host) for name, text in fields.items()}
    page = await anna.post(f"{site.url}/sign-out", fields=sent)

    assert page.status == 403
    assert await anna.who(site) == "anna"


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://{host}"},
        {"Origin": "https://{host}"},
    ],
    ids=str,
)
async def test_a_form_of_its_own_is_taken(fields: dict[str, str], site: Site, anna: Person) -> None:
    anna.carry(site, "anna")
    host = site.url.removeprefix("http://")
    sent = {name: text.format(host=host) for name, text in fields.items()}
    page = await anna.post(f"{site.url}/sign-out", fields=sent)

    assert page.status == 303
    assert await anna.who(site) is None


# The SDK within ------------------------------------------------------------------------------------------------------


async def test_the_observer_fills_the_table_of_accounts_while_the_site_runs(site: Site, anna: Person) -> None:
    anna.carry(site, "anna")
    before = await anna.get(f"{site.url}/")
    user = await (await site.app[CORE].auth_for("anna")).ensure_user()
    after = await anna.get(f"{site.url}/")

    assert await site.product.accounts.known_id("anna") == user.anonymous_id
    assert "no hearing profile with your account yet" in before.text
    assert "A hearing profile is kept with your account" in after.text
    shown = user.anonymous_id.masked.strip("…")
    assert shown not in after.markup, "not even the part of the id that a log may show"


async def test_both_products_show_one_profile(mimi_server: IdentityServer, tmp_path: Path) -> None:
    products = [product_of(mimi_server, tmp_path, name) for name in ("player", "tv")]
    async with running(products[0]) as player, running(products[1]) as tv:
        made = await (await player.app[CORE].auth_for("anna")).ensure_user()
        found = await (await tv.app[CORE].auth_for("anna")).ensure_user()
    assert made == found
    assert mimi_server.users == 1


async def test_the_core_lives_as_long_as_the_service(mimi_server: IdentityServer, tmp_path: Path) -> None:
    async with running(product_of(mimi_server, tmp_path)) as site:
        await site.app[CORE].auth_for("anna")
    with pytest.raises(NotStartedError):
        await site.app[CORE].auth_for("anna")


async def test_the_pages_of_mimi_know_who_is_signed_in(site: Site, anna: Person) -> None:
    stranger = await anna.get(f"{site.url}/mimi/")
    anna.carry(site, "anna")
    profile, launcher = await asyncio.gather(*(anna.get(f"{site.url}/mimi/{path}") for path in ("", "launcher")))

    assert stranger.status == 401
    assert "/sign-in?next=/mimi/" in stranger.links
    assert (profile.status, launcher.status) == (200, 200)
    assert "script-src 'self'" in profile.fields["Content-Security-Policy"]


async def test_the_pages_of_mimi_lead_back_to_the_product_and_need_no_slash(site: Site, anna: Person) -> None:
    anna.carry(site, "anna")
    profile = await anna.get(f"{site.url}/mimi/")
    without = await anna.get(f"{site.url}/mimi")

    assert "/" in profile.links
    assert "Back to the app" in profile.text
    assert (without.status, without.fields["Location"]) == (303, "/mimi/")


async def test_the_pages_of_mimi_wear_the_colours_of_the_partner(site: Site, anna: Person) -> None:
    anna.carry(site, "anna")
    profile = await anna.get(f"{site.url}/mimi/")
    theme = await anna.get(f"{site.url}/theme.css")

    assert "/theme.css" in profile.links
    assert (theme.status, theme.fields["Content-Type"]) == (200, "text/css")


async def test_who_onboards_on_the_pages_of_mimi_has_a_profile_in_the_table(
    site: Site, anna: Person, mimi_server: IdentityServer
) -> None:
    anna.carry(site, "anna")
    sent = await anna.onboard(site.url)

    assert sent.status == 303
    assert mimi_server.users == 1
    assert await site.product.accounts.known_id("anna") is not None


async def test_a_person_whose_id_is_known_again_lands_on_the_profile_and_nothing_is_set_aside(
    site: Site, anna: Person, mimi_server: IdentityServer
) -> None:
    anna.carry(site, "anna")
    await anna.onboard(site.url)
    known = await site.product.accounts.known_id("anna")
    mimi_server.revoke_tokens()
    mimi_server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    refused = await anna.get(f"{site.url}/mimi/")
    decided = await anna.post(f"{site.url}/mimi/start-over", {"sure": "yes"})
    profile = await anna.get(f"{site.url}/mimi/")

    assert (refused.status, decided.status, profile.status) == (409, 303, 200)
    assert "Your hearing profile" in profile.text
    assert await site.product.accounts.known_id("anna") == known
    assert await site.product.accounts.ids_set_aside("anna") == []


async def test_a_person_goes_on_without_a_rejected_id_which_is_set_aside(
    site: Site, anna: Person, mimi_server: IdentityServer
) -> None:
    async with site.product.core("anna") as core:
        user = await core.auth.ensure_user()
    anna.carry(site, "anna")
    mimi_server.fail("/v1/sessions", problem="unknown-anonymous-id", times=2)
    refused = await anna.get(f"{site.url}/mimi/")
    decided = await anna.post(f"{site.url}/mimi/start-over", {"sure": "yes"})
    profile = await anna.get(f"{site.url}/mimi/")

    assert (refused.status, decided.status, profile.status) == (409, 303, 200)
    assert await site.product.accounts.known_id("anna") is None
    assert await site.product.accounts.ids_set_aside("anna") == [user.anonymous_id]
