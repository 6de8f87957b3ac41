"""The page of the hearing test: what it plays and sends, how a person leaves and returns."""

import pytest
from playwright.async_api import expect

from .harness import trial
from .listener import SILENCE, TONE_AND_WINDOW, Listener

BEGUN: tuple[str, dict[str, str]] = ("/test/begin", {})


async def test_it_sends_what_was_heard_and_what_was_not(listener: Listener) -> None:
    await listener.hear_tone(trial("a"), trial("b", progress=0.5), trial("c", ear="left", progress=0.75))
    await expect(listener.page.get_by_role("heading")).to_have_text("Right ear")
    await listener.click("I hear it")
    await listener.let_silence_pass()
    await expect(listener.page.locator("progress")).to_have_attribute("value", "0.5")
    await listener.let_pass(TONE_AND_WINDOW)
    await expect(listener.page.get_by_role("heading")).to_have_text("Left ear")
    await expect(listener.page.get_by_role("status")).to_have_text("Left ear")
    heard, missed = {"state": "a", "heard": True}, {"state": "b", "heard": False}
    assert listener.site.asked == [BEGUN, ("/test/answer", heard), ("/test/answer", missed)]
    assert [(sound["frequency"], len(sound["ends"])) for sound in await listener.sounds()] == [(1000, 2), (1000, 2)]


async def test_a_press_before_the_tone_counts_for_nothing(listener: Listener) -> None:
    await listener.begin(trial("a"), trial("b"))
    await listener.is_waiting(SILENCE)
    await listener.click("I hear it")
    await listener.let_silence_pass()
    assert listener.site.asked == [BEGUN]
    await listener.let_pass(TONE_AND_WINDOW)
    await listener.is_waiting(SILENCE)
    assert listener.site.asked == [BEGUN, ("/test/answer", {"state": "a", "heard": False})]


async def test_a_press_in_the_window_after_the_tone_is_heard(listener: Listener) -> None:
    await listener.hear_tone(trial("a"), trial("b"))
    await listener.page.clock.run_for(2500)
    await listener.click("I hear it")
    await listener.is_waiting(SILENCE)
    assert listener.site.asked[1:] == [("/test/answer", {"state": "a", "heard": True})]


async def test_a_catch_trial_takes_the_same_time_in_silence(listener: Listener) -> None:
    await listener.hear_tone(trial("a", level=None), trial("b"))
    await listener.click("I hear it")
    await listener.is_waiting(SILENCE)
    assert listener.site.asked[1:] == [("/test/answer", {"state": "a", "heard": True})]
    assert await listener.sounds() == []


async def test_a_stop_ends_the_tone_and_going_on_asks_with_the_same_state(listener: Listener) -> None:
    await listener.hear_tone(trial("a"), trial("a"))
    await listener.click("Stop")
    await listener.expect_heading("Paused")
    (sound,) = await listener.sounds()
    assert sound["ends"][1] < sound["ends"][0]
    await listener.page.clock.run_for(10_000)
    assert (listener.site.asked, await listener.stored()) == ([BEGUN], "a")
    await listener.click("Resume")
    await listener.let_silence_pass()
    await expect(listener.button("I hear it")).to_be_focused()
    assert listener.site.asked[1:] == [("/test/begin", {"state": "a"})]
    assert len(await listener.sounds()) == 2


@pytest.mark.parametrize("is_sounding", [False, True])
async def test_a_page_that_gets_hidden_pauses(listener: Listener, is_sounding: bool) -> None:
    await listener.begin(trial("a"))
    await (listener.let_silence_pass() if is_sounding else listener.is_waiting(SILENCE))
    await listener.hide()
    await listener.expect_heading("Paused")
    await listener.page.clock.run_for(10_000)
    await listener.hide(False)
    await listener.expect_heading("Paused")
    assert listener.site.asked == [BEGUN]
    assert len(await listener.sounds()) == is_sounding


async def test_a_page_that_is_left_pauses(listener: Listener) -> None:
    await listener.begin(trial("a"))
    await listener.is_waiting(SILENCE)
    await listener.page.evaluate('() => dispatchEvent(new PageTransitionEvent("pagehide"))')
    await listener.expect_heading("Paused")


async def test_an_answer_that_comes_to_a_paused_page_is_kept_for_the_return(listener: Listener) -> None:
    await listener.hear_tone(trial("a"), trial("b"), trial("b"))
    listener.site.hold()
    await listener.click("I hear it")
    await listener.click("Stop")
    listener.site.release()
    await listener.page.wait_for_function('() => sessionStorage.getItem("mimi-hearing-test") === "b"')
    await listener.expect_heading("Paused")
    await listener.click("Resume")
    await listener.is_waiting(SILENCE)
    assert listener.site.asked[2:] == [("/test/begin", {"state": "b"})]


async def test_two_requests_are_never_under_way_at_once(listener: Listener) -> None:
    await listener.hear_tone(trial("a"), trial("b"))
    listener.site.hold()
    await listener.click("I hear it")
    await listener.click("Stop")
    await listener.click("Resume")
    await listener.click("Stop")
    await listener.click("Resume")
    listener.site.release()
    await listener.let_silence_pass()
    assert len(listener.site.asked) == 2


async def test_a_reload_offers_to_go_on(listener: Listener) -> None:
    await listener.begin(trial("a"), trial("a"))
    await listener.is_waiting(SILENCE)
    await listener.page.reload()
    await expect(listener.button("Begin the test")).to_be_hidden()
    await listener.click("Go on with your test")
    await listener.is_waiting(SILENCE)
    assert listener.site.asked == [BEGUN, ("/test/begin", {"state": "a"})]


@pytest.mark.parametrize(("is_reloaded", "button"), [(True, "Begin again"), (False, "Begin once more")])
async def test_a_person_may_restart_after_a_reload_and_from_the_pause(
    listener: Listener, is_reloaded: bool, button: str
) -> None:
    await listener.begin(trial("a"), trial("b"))
    await listener.is_waiting(SILENCE)
    await (listener.page.reload() if is_reloaded else listener.click("Stop"))
    await listener.click(button)
    await listener.let_silence_pass()
    assert (listener.site.asked, await listener.stored()) == ([BEGUN, BEGUN], "b")


async def test_an_answer_that_comes_after_a_restart_is_discarded(listener: Listener) -> None:
    await listener.hear_tone(trial("a"), trial("old"), trial("new"))
    listener.site.hold()
    await listener.click("I hear it")
    await listener.click("Stop")
    await listener.click("Begin once more")
    listener.site.release()
    await listener.let_silence_pass()
    assert (listener.site.asked[2:], await listener.stored()) == ([BEGUN], "new")


async def test_a_test_that_is_done_is_forgotten_and_leads_to_the_results(listener: Listener) -> None:
    listener.site.script = [trial("a"), {"done": "/results"}]
    await listener.open("/sign-in")
    await listener.begin()
    await listener.let_silence_pass()
    await listener.click("I hear it")
    await listener.page.wait_for_url("**/results")
    assert await listener.stored() is None
    await listener.page.go_back()
    assert listener.page.url.endswith("/sign-in"), "the page of a test that is over is not in the history"


async def test_a_double_click_begins_once_and_does_not_stop_what_it_began(listener: Listener) -> None:
    await listener.open("/test", trial("a"))
    for action in ("begin", "stop"):
        button = listener.page.locator(f'[data-do="{action}"]')
        await button.evaluate("({ style }) => { style.position = 'fixed'; style.left = style.top = 0; }")
    await listener.page.mouse.dblclick(5, 5)
    await listener.let_silence_pass()
    assert listener.site.asked == [BEGUN]


async def test_a_button_does_nothing_twice(listener: Listener) -> None:
    await listener.open("/test", trial("a"), trial("b"))
    twice = "(button) => { button.click(); button.click(); }"
    await listener.button("Begin the test").evaluate(twice)
    await listener.let_silence_pass()
    await listener.button("I hear it").evaluate(twice)
    await listener.is_waiting(SILENCE)
    assert len(listener.site.asked) == 2


async def test_the_keyboard_is_enough(listener: Listener) -> None:
    await listener.open("/test", trial("a"), trial("b"), trial("b"))
    keys = listener.page.keyboard
    for key in ("Tab", "Tab", "Tab", "Enter"):
        await keys.press(key)
    await listener.let_silence_pass()
    await keys.press("Space")
    await listener.is_waiting(SILENCE)
    await keys.press("Tab")
    await keys.press("Enter")
    await listener.expect_heading("Paused")
    await keys.press("Tab")
    await keys.press("Enter")
    await listener.is_waiting(SILENCE)
    await expect(listener.button("I hear it")).to_be_focused()
    answered, resumed = ("/test/answer", {"state": "a", "heard": True}), ("/test/begin", {"state": "b"})
    assert listener.site.asked == [BEGUN, answered, resumed]


async def test_a_key_that_is_held_is_one_press(listener: Listener) -> None:
    await listener.begin(trial("a"))
    await listener.is_waiting(SILENCE)
    await listener.page.keyboard.down("Enter")
    await listener.let_silence_pass()
    await listener.page.keyboard.down("Enter")
    await listener.page.keyboard.up("Enter")
    await listener.is_waiting(TONE_AND_WINDOW)
    assert listener.site.asked == [BEGUN]


@pytest.mark.parametrize("side", ["Right", "Left"])
async def test_a_sample_sounds_once_and_sends_nothing(listener: Listener, side: str) -> None:
    await listener.open()
    await listener.button(side).dblclick()
    await listener.page.wait_for_function("() => sounds.length")
    assert [sound["frequency"] for sound in await listener.sounds()] == [1000]
    assert listener.site.asked == []


async def test_a_sample_ends_when_the_test_begins(listener: Listener) -> None:
    await listener.open("/test", trial("a"))
    await listener.click("Left")
    await listener.page.wait_for_function("() => sounds.length")
    await listener.click("Begin the test")
    await listener.is_waiting(SILENCE)
    assert [len(sound["ends"]) for sound in await listener.sounds()] == [2]
