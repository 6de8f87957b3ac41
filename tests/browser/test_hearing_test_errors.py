"""The page of the hearing test when the server fails, refuses, or can't be reached."""

from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import expect

from .harness import error_reply, trial
from .listener import Listener

WATCH = """() => {
  globalThis.changes = 0;
  const options = { subtree: true, childList: true, characterData: true };
  new MutationObserver((list) => (changes += list.length)).observe(document.querySelector("[role=alert]"), options);
}"""

ANSWER = ("/test/answer", {"state": "a", "heard": True})


def welcome() -> web.Response:
    """The page of a captive portal."""
    return web.Response(text="<h1>Welcome</h1>", content_type="text/html")


def unknown_ear() -> web.Response:
    return web.json_response({"tone": {"ear": "both", "frequency": 1000, "level": 30}, "state": "x", "progress": 0})


def elsewhere() -> web.Response:
    return web.json_response({"done": "https://elsewhere.test/"})


def moved() -> web.Response:
    return web.Response(status=302, headers={"Location": "/sign-in"})


pytestmark = pytest.mark.usefixtures("expect_error_statuses")


async def answer(listener: Listener, *script: Any) -> None:
    """Hear a first tone; the answer to that gets what the script says."""
    await listener.hear_tone(trial("a"), *script)
    await listener.click("I hear it")


async def test_it_tries_the_same_answer_again_when_the_server_says(listener: Listener) -> None:
    waits = {"7": 7, "-1": 5, "soon": 5, "90000": 3600}
    await answer(
        listener,
        error_reply("retry", 429),
        *[error_reply("retry", 503, Retry_After=wait) for wait in waits],
        trial("b"),
    )
    await listener.expect_heading("Please retry")
    await expect(listener.page.get_by_role("alert")).to_contain_text("Something is wrong.")
    for seconds in (5, *waits.values()):
        await listener.let_pass(seconds)
    await listener.let_silence_pass()
    await expect(listener.button("I hear it")).to_be_focused()
    assert listener.site.asked[1:] == [ANSWER] * 6


@pytest.mark.parametrize("reply", [lambda: None, welcome, unknown_ear, elsewhere, moved])
async def test_it_tries_the_same_answer_again_when_there_is_none(listener: Listener, reply: Any) -> None:
    await answer(listener, reply(), reply(), trial("b"))
    await listener.expect_heading("No connection")
    await expect(listener.page.get_by_role("alert")).to_contain_text("We try again by ourselves.")
    await listener.let_pass(5)
    await listener.let_pass(5)
    await listener.let_silence_pass()
    assert listener.site.asked[1:] == [ANSWER] * 3


async def test_a_server_that_never_answers_is_given_up(listener: Listener) -> None:
    listener.site.hold()
    await listener.begin(trial("a"), trial("a"))
    await listener.page.clock.run_for(30_000)
    await expect(listener.button("I hear it")).to_be_visible()
    await listener.page.clock.run_for(6_000)
    await listener.expect_heading("No connection")


async def test_a_person_may_try_again_at_once(listener: Listener) -> None:
    await answer(listener, error_reply("retry", 503, Retry_After="60"), trial("b"))
    await listener.click("Try again")
    await listener.let_silence_pass()
    assert listener.site.asked[1:] == [ANSWER, ANSWER]


async def test_an_error_that_lasts_is_shown_once_and_leaves_the_focus_alone(listener: Listener) -> None:
    await answer(listener, *[error_reply("retry", 503) for _ in range(2)])
    await listener.expect_heading("Please retry")
    await listener.button("Try again").focus()
    await listener.page.evaluate(WATCH)
    await listener.let_pass(5)
    await listener.is_waiting(5)
    assert await listener.page.evaluate("() => changes") == 0
    await expect(listener.button("Try again")).to_be_focused()
    assert len(listener.site.asked) == 3


async def test_a_person_may_restart_when_the_server_says_so(listener: Listener) -> None:
    await answer(listener, error_reply("restart", 409), trial("b"))
    await listener.expect_heading("Please restart")
    assert await listener.stored() == "a"
    await expect(listener.button("Try again")).to_be_hidden()
    await listener.page.clock.run_for(60_000)
    await listener.click("Start over")
    await listener.let_silence_pass()
    assert listener.site.asked[1:] == [ANSWER, ("/test/begin", {})]
    assert await listener.stored() == "b"


async def test_an_error_without_remedy_here_leads_to_the_profile_and_keeps_the_answer(listener: Listener) -> None:
    await answer(listener, error_reply("retry", 503), error_reply("leave", 409), trial("b"))
    await listener.expect_heading("Please retry")
    link = listener.page.get_by_role("link", name="To the hearing profile")
    await expect(link).to_be_hidden()
    await listener.click("Try again")
    await expect(link).to_be_visible()
    await expect(listener.page.get_by_role("heading")).to_have_text("Please leave")
    await listener.page.clock.run_for(60_000)  # it does not retry: nothing would change
    assert await listener.stored() == "a"
    await listener.click("Try again")
    await listener.let_silence_pass()
    assert listener.site.asked[1:] == [ANSWER] * 3


@pytest.mark.parametrize("address", ["/sign-in?next=/test", "https://partner.test/sign-in"])
async def test_it_shows_the_way_to_the_sign_in_and_keeps_the_answer(listener: Listener, address: str) -> None:
    await answer(listener, error_reply("sign-in", 401, sign_in=address), trial("b"))
    await listener.expect_heading("Please sign-in")
    link = listener.page.get_by_role("link", name="Sign in")
    assert await link.evaluate("(link) => link.href") == (listener.site.url + address if address[0] == "/" else address)
    await listener.hide()
    await listener.hide(False)
    await listener.page.clock.run_for(60_000)
    await listener.click("Try again")
    await listener.let_silence_pass()
    assert listener.site.asked[1:] == [ANSWER, ANSWER]


async def test_it_leads_to_no_sign_in_that_is_not_safe(listener: Listener) -> None:
    unsafe = (None, "javascript:alert(1)", "http://partner.test/", "//partner.test/")
    await answer(listener, *[error_reply("sign-in", 401, sign_in=address) for address in ("/sign-in", *unsafe)])
    await listener.expect_heading("Please sign-in")
    link = listener.page.locator("[data-sign-in]")
    for _ in unsafe:
        await link.evaluate("(link) => (link.hidden = false)")
        await listener.click("Try again")
        await expect(link).to_be_hidden()
    assert len(listener.site.asked) == 6


async def test_it_does_not_try_while_the_page_is_hidden(listener: Listener) -> None:
    await answer(listener, error_reply("retry", 503), trial("b"))
    await listener.is_waiting(5)
    await listener.hide()
    await listener.page.clock.run_for(60_000)
    assert len(listener.site.asked) == 2
    await listener.page.evaluate("() => timers.splice(0)")
    await listener.hide(False)
    await listener.let_pass(5)
    await listener.let_silence_pass()
    assert listener.site.asked[1:] == [ANSWER, ANSWER]


@pytest.mark.parametrize(
    ("reply", "title"), [(lambda: error_reply("retry", 503), "Please retry"), (lambda: trial("b"), "Paused")]
)
async def test_a_reply_to_a_hidden_page_waits_for_the_return(listener: Listener, reply: Any, title: str) -> None:
    await answer(listener, error_reply("retry", 503), reply())
    await listener.is_waiting(5)
    listener.site.hold()
    await listener.let_pass(5)
    await listener.hide()
    listener.site.release()
    await listener.read_replies()
    await listener.page.clock.run_for(60_000)
    await listener.expect_heading(title)
    assert listener.site.asked[1:] == [ANSWER, ANSWER]
    assert len(await listener.sounds()) == 1


async def test_an_answer_that_fails_while_the_page_is_paused_is_sent_again_at_the_return(listener: Listener) -> None:
    await listener.hear_tone(trial("a"), None, trial("b"))
    listener.site.hold()
    await listener.click("I hear it")
    await listener.click("Stop")
    listener.site.release()
    await listener.read_replies()
    await listener.expect_heading("Paused")
    await listener.click("Resume")
    await listener.let_silence_pass()
    assert listener.site.asked[1:] == [ANSWER, ANSWER]


async def test_a_browser_without_web_audio_says_so(listener: Listener) -> None:
    await listener.page.add_init_script("delete globalThis.AudioContext;")
    await listener.begin(trial("a"), trial("a"))
    await listener.expect_heading("No sound")
    await listener.click("Try again")
    await expect(listener.page.get_by_role("alert")).to_contain_text("Allow this page to play sound.")


async def test_a_sound_that_does_not_start_is_an_error_after_two_seconds(listener: Listener) -> None:
    await listener.page.add_init_script(
        """AudioContext.prototype.resume = () => new Promise(() => {});
        Object.defineProperty(BaseAudioContext.prototype, "state", { get: () => globalThis.state ?? "suspended" });"""
    )
    await listener.begin(trial("a"), trial("a"))
    await listener.let_pass(2)
    await listener.expect_heading("No sound")
    await listener.page.evaluate('() => (globalThis.state = "running")')
    await listener.click("Try again")
    await listener.let_silence_pass()
    assert listener.site.asked == [("/test/begin", {}), ("/test/begin", {"state": "a"})]


async def test_a_sample_without_sound_leads_back_to_the_beginning(listener: Listener) -> None:
    await listener.page.add_init_script("delete globalThis.AudioContext;")
    await listener.open()
    await listener.click("Left")
    await listener.expect_heading("No sound")
    await listener.click("Try again")
    await expect(listener.button("Begin the test")).to_be_visible()
    assert listener.site.asked == []


async def test_a_test_without_a_response_leads_back_to_the_samples(listener: Listener) -> None:
    await answer(listener, error_reply("prepare", 422), trial("b"))
    await listener.expect_heading("Please prepare")
    for name in ("Try again", "Start over"):
        await expect(listener.button(name)).to_be_hidden()
    await listener.click("Check the sound")
    await expect(listener.button("Right")).to_be_focused()
    assert await listener.stored() is None
    await listener.click("Begin the test")
    await listener.let_silence_pass()
    assert listener.site.asked[2:] == [("/test/begin", {})]
