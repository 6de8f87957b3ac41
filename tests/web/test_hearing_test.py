"""The hearing test between the browser's script and the pages: lost replies, two tabs, ended sessions."""

import json

import pytest

from mimi_async.testing import IdentityServer

from .sites import QUIET, Person, Product

TESTS = "/v1/user/hearing-tests"


async def count_tests(person: Person) -> int:
    return len(json.loads((await person.get("export")).text)["hearing_tests"])


async def test_beginning_makes_the_user_and_keeps_nothing_half_measured(anna: Person, server: IdentityServer) -> None:
    status, reply = await anna.send("test/begin", {})
    assert status == 200
    assert reply["tone"] == {"ear": "right", "frequency": 1000, "level": 30.0}
    assert reply["progress"] == 0.0
    assert server.users == 1
    await anna.send("test/answer", {"state": reply["state"], "heard": True})
    assert await count_tests(anna) == 0


async def test_an_answer_that_is_sent_again_has_the_same_effect(anna: Person) -> None:
    _, reply = await anna.send("test/begin", {})
    answer = {"state": reply["state"], "heard": True}
    assert await anna.send("test/answer", answer) == await anna.send("test/answer", answer)


async def test_a_test_goes_on_where_it_was_interrupted(anna: Person) -> None:
    _, reply = await anna.send("test/begin", {})
    _, reply = await anna.send("test/answer", {"state": reply["state"], "heard": True})
    assert await anna.send("test/begin", {"state": reply["state"]}) == (200, reply)


async def test_an_end_whose_reply_was_lost_keeps_one_test(anna: Person, server: IdentityServer) -> None:
    answer = await anna.before_the_end()
    server.drop_reply(TESTS, method="POST", times=None)
    status, reply = await anna.send("test/answer", answer)
    assert (status, reply["next_step"]) == (503, "retry")
    server.clear_faults()
    for _ in range(2):
        assert await anna.send("test/answer", answer) == (200, {"done": "../results"})
    assert await count_tests(anna) == 1


async def test_a_test_without_a_response_asks_for_the_sound_and_stores_nothing(anna: Person) -> None:
    reply = await anna.take_test(dict.fromkeys(QUIET, 200.0))
    assert "is the sound on?" in reply["title"]
    assert (reply["next_step"], reply["sign_in"]) == ("prepare", None)
    assert await count_tests(anna) == 0
    assert await anna.take_test() == {"done": "../results"}
    assert await count_tests(anna) == 1


async def test_two_tabs_keep_a_test_each_and_a_tab_that_was_copied_keeps_the_first(anna: Person) -> None:
    answer = await anna.before_the_end()
    await anna.send("test/answer", answer)
    await anna.take_test()
    assert await count_tests(anna) == 2
    await anna.send("test/answer", {**answer, "heard": not answer["heard"]})
    assert await count_tests(anna) == 2


async def test_a_session_that_ends_in_the_middle_loses_no_answer(anna: Person, product: Product) -> None:
    _, reply = await anna.send("test/begin", {})
    del product.accounts[anna.session]
    answer = {"state": reply["state"], "heard": True}
    status, error = await anna.send("test/answer", answer)
    assert status == 401
    assert error["next_step"] == "sign-in"
    assert error["sign_in"] == "../../sign-in?next=/mimi/test"
    product.accounts[anna.session] = "anna"
    assert (await anna.send("test/answer", answer))[0] == 200


async def test_a_profile_that_was_erased_elsewhere_is_noticed_before_the_test_not_after_it(
    anna: Person, server: IdentityServer
) -> None:
    async with Product(server, anna.product.ids).run() as tv, tv.open_browser("anna") as at_tv:
        _, reply = await anna.send("test/begin", {})
        assert (await at_tv.submit_to("reset", (await at_tv.get("reset")).document, sure="yes")).status == 303
    status, error = await anna.send("test/begin", {"state": reply["state"]})
    assert (status, error["next_step"]) == (409, "restart")
    assert (await anna.send("test/begin", {}))[0] == 200
    assert (server.users, await count_tests(anna)) == (1, 0)


async def test_a_rejected_id_leads_to_the_page_that_can_start_over(anna: Person, server: IdentityServer) -> None:
    _, reply = await anna.send("test/begin", {})
    server.revoke_tokens()
    server.fail("/v1/sessions", problem="unknown-anonymous-id", times=None)
    await anna.get()
    for page, more in (("test/begin", {}), ("test/answer", {"heard": True})):
        status, error = await anna.send(page, {"state": reply["state"], **more})
        assert (status, error["next_step"]) == (409, "leave")


async def test_without_a_profile_the_error_says_that_another_account_may_have_begun_the_test(
    anna: Person, product: Product
) -> None:
    _, reply = await anna.send("test/begin", {})
    async with product.open_browser("ben") as ben:
        status, error = await ben.send("test/begin", {"state": reply["state"]})
    assert (status, error["next_step"]) == (409, "restart")
    assert "another account is signed in now" in error["detail"]


async def test_a_test_that_was_begun_before_a_reset_is_not_kept_with_the_profile_after_it(anna: Person) -> None:
    answer = await anna.before_the_end()
    await anna.submit_to("reset", (await anna.get("reset")).document, sure="yes")
    status, error = await anna.send("test/answer", answer)
    assert (status, error["next_step"]) == (409, "restart")
    await anna.post("year-of-birth", year_of_birth="1980", sex="")
    status, error = await anna.send("test/answer", answer)
    assert (status, error["next_step"]) == (409, "restart")
    assert await count_tests(anna) == 0


async def test_pressing_always_gives_no_result_and_an_error_that_says_why(anna: Person) -> None:
    status, reply = await anna.send("test/begin", {})
    while "tone" in reply:
        status, reply = await anna.send("test/answer", {"state": reply["state"], "heard": True})
    assert (status, reply["next_step"]) == (422, "restart")
    assert "press only when you hear a tone" in reply["detail"]
    assert await count_tests(anna) == 0


async def test_a_result_that_the_server_refuses_says_what_to_do(anna: Person, server: IdentityServer) -> None:
    server.fail(TESTS, problem="invalid-input", method="POST", times=None)
    reply = await anna.take_test()
    assert "could not be saved" in reply["title"]
    assert reply["next_step"] == "restart"  # to try again would be in vain


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"state": 1, "heard": true}',
        b'{"state": "", "heard": true}',
        b'{"state": "1.00.00.1", "heard": true}',
        b'{"state": "x", "heard": "yes"}',
        b'{"state": "x", "heard": true, "level": 300}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"state": "\\ud800", "heard": true}',
    ],
)
async def test_an_invalid_answer_is_refused_with_the_next_step(body: bytes, anna: Person) -> None:
    await anna.send("test/begin", {})
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    answer = await anna.ask("POST", "test/answer", data=body, headers=headers)
    assert answer.status in (409, 422)
    assert json.loads(answer.text)["next_step"] == "restart"


async def test_no_heading_is_empty_while_the_first_tone_is_waited_for(anna: Person) -> None:
    text = (await anna.get("test")).text
    assert '<h2 data-ear tabindex="-1">One moment …</h2>' in text


async def test_levels_beyond_the_limits_can_not_be_made_up(anna: Person) -> None:
    _, reply = await anna.send("test/begin", {})
    for _ in range(40):
        _status, following = await anna.send("test/answer", {"state": reply["state"], "heard": False})
        if "tone" not in following:
            break
        reply = following
        assert reply["tone"]["level"] is None or -10 <= reply["tone"]["level"] <= 80
    version, seed, mark, answers = reply["state"].split(".")
    for state in (f"2.{seed}.{mark}.{answers}", f"1.{'0' * 32}.{mark}.{answers}", f"1.{seed}.{mark}.{'1' * 5000}"):
        assert (await anna.send("test/answer", {"state": state, "heard": True}))[0] == 409
    assert version == "1"


async def test_no_account_resumes_the_test_of_another_account(anna: Person, product: Product) -> None:
    _, reply = await anna.send("test/begin", {})
    async with product.open_browser("ben") as ben:
        await ben.send("test/begin", {})
        for page, more in (("test/begin", {}), ("test/answer", {"heard": True})):
            status, error = await ben.send(page, {"state": reply["state"], **more})
            assert (status, error["next_step"]) == (409, "restart")
