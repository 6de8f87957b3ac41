"""The protection of the pages: header fields of every reply, and the check of a form's origin."""

import asyncio
from collections.abc import Mapping

import pytest

from mimi_async.testing import IdentityServer

from ..doubles import an_id
from ..internals import state_of
from .sites import Answer, Person, Product

YEAR = {"year_of_birth": "1980", "sex": ""}


def assert_protected(answer: Answer) -> None:
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["style-src"] == policy["font-src"] == policy["img-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Set-Cookie" not in answer.headers


async def test_every_reply_is_protected(anna: Person, product: Product, server: IdentityServer) -> None:
    pages = ("", "launcher", "test", "year-of-birth", "edit", "reset", "results", "export", "erased")
    static = ("static/mimi.css", "static/mimi.js", "static/times.js", "static/icon.svg")
    for prepare in (anna.get, lambda: anna.post("year-of-birth", **YEAR), anna.take_test, server.stop):
        await prepare()
        for page in (*pages, *static, "nowhere", "deep/down/below"):
            assert_protected(await anna.get(page))
        assert_protected(await anna.ask("DELETE", ""))
        assert_protected(await anna.post("year-of-birth", year_of_birth="x"))
        assert_protected(await anna.post("year-of-birth", {"Sec-Fetch-Site": "cross-site"}))
        assert_protected(await anna.ask("POST", "test/begin", data=b"x"))
        assert_protected(await anna.ask("POST", "test/answer", json={}, headers={"Sec-Fetch-Site": "same-origin"}))
    async with product.open_browser(None) as signed_out:
        assert_protected(await signed_out.get())
        assert_protected(await signed_out.post("start-over", sure="yes"))
    product.ids["ben"] = an_id(1)
    await server.start()
    async with product.open_browser("ben") as ben:
        assert_protected(await ben.get())


@pytest.mark.parametrize("page", ["", "year-of-birth", "static/mimi.css", "test/begin", "nowhere"])
async def test_a_method_that_a_page_does_not_know_is_refused(page: str, anna: Person) -> None:
    answer = await anna.ask("PUT", page, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status == (404 if page == "nowhere" else 405)
    assert page == "nowhere" or answer.headers["Allow"]


@pytest.mark.parametrize("path", ["", "static/mimi.css", "nowhere"])
async def test_a_reply_that_no_page_has_made_is_protected_too(path: str, anna: Person) -> None:
    answer = await anna.ask("GET", path, headers={"Expect": "nonsense"})
    assert answer.status == 417
    assert_protected(answer)


async def test_a_head_is_answered_like_a_get(anna: Person) -> None:
    answer = await anna.ask("HEAD", "")
    assert (answer.status, answer.text) == (200, "")


CROSS_SITE: dict[str, Mapping[str, str]] = {
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another origin of the same site": {"Sec-Fetch-Site": "same-site"},
    "an unknown value": {"Sec-Fetch-Site": "?"},
    "an older browser on another origin": {"Origin": "https://evil.example"},
    "a hidden origin": {"Origin": "null"},
    "an invalid origin": {"Origin": "http://[::1"},
    "no browser at all": {},
}


@pytest.mark.parametrize("sender", CROSS_SITE)
@pytest.mark.parametrize(
    "page", ["year-of-birth", "edit", "reset", "results/0/delete", "start-over", "test/begin", "test/answer"]
)
async def test_a_form_from_somewhere_else_is_refused(
    page: str, sender: str, anna: Person, server: IdentityServer
) -> None:
    answer = await anna.ask("POST", page, data=YEAR, headers=CROSS_SITE[sender])
    assert answer.status == 403
    assert "from another site" in answer.document.words
    assert server.users == 0


async def test_a_form_from_an_older_browser_on_these_pages_counts(anna: Person, product: Product) -> None:
    form = {**YEAR, "binding": anna.binding}
    assert (await anna.ask("POST", "year-of-birth", data=form, headers={"Origin": product.url})).status == 303


async def test_the_browser_never_gets_an_id_a_token_or_the_account(anna: Person, product: Product) -> None:
    seen = []
    for prepare in (anna.get, lambda: anna.post("year-of-birth", **YEAR), anna.take_test):
        await prepare()
        for page in ("", "launcher", "test", "year-of-birth", "edit", "reset", "results"):
            answer = await anna.get(page)
            seen.append(answer.text + repr(answer.headers))
        seen.append((await anna.ask("POST", "test/begin", json={}, headers={"Sec-Fetch-Site": "same-origin"})).text)
    auth = await product.core.auth_for("anna")
    user, token = auth.current_user, state_of(auth).token
    assert user is not None
    assert token is not None
    secrets = (user.anonymous_id.reveal(), token.reveal(), user.id, "anna", product.server.credentials.secret.reveal())
    assert not [secret for secret in secrets if any(secret in text for text in seen)]


async def test_many_people_at_once_each_get_their_own(product: Product, server: IdentityServer) -> None:
    async def onboard(number: int) -> None:
        async with product.open_browser(f"account-{number}") as person:
            await person.post("year-of-birth", year_of_birth=str(1950 + number), sex="")
            assert str(1950 + number) in (await person.get()).document.words

    await asyncio.gather(*(onboard(number) for number in range(40)))
    assert server.users == 40
