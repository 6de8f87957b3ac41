"""One launch of a product, as a process: what its app does between its start and its end.

    python -m examples.partner_service.launch player anna onboard

`Product.from_env` says what it reads from the environment. It prints a line of JSON for each thing that happens, with
ids masked, and ends with 1 where the SDK has refused.
"""

import argparse
import asyncio
import datetime as dt
import json
import sys
from collections.abc import Awaitable, Callable, Sequence

from mimi_async import (
    AuthController,
    ConfigurationError,
    HearingTestResult,
    LogInAnonymously,
    MimiCore,
    MimiError,
    MimiUser,
    Profile,
    ProfileScreen,
)

from .product import Product, profile

View = Callable[[AuthController], Awaitable[ProfileScreen]]

YEAR_OF_BIRTH = 1980
LEFT = {250: 10, 500: 10, 1000: 15, 2000: 20, 4000: 35, 8000: 40}
RIGHT = {250: 5, 500: 10, 1000: 10, 2000: 20, 4000: 30, 8000: 35}


async def launch(product: Product, options: argparse.Namespace) -> int:
    """Start, present the profile, do what the person does, and end; return the exit status."""
    try:
        view = first_view(profile(allows_anonymous_user_only=not options.allow_named_users))
        if options.as_in_guide:
            await log_in_then_present(product, options, view)
        else:
            await present_then_start(product, options, view)
    except MimiError as error:
        tell("failed", error=name_of(error), cause=name_of(error.__cause__), message=str(error))
        return 1
    return 0


async def present_then_start(product: Product, options: argparse.Namespace, view: View) -> None:
    """Ask for a view at once and start meanwhile: it waits at the gate, and runs once the account is restored."""
    core = product.core(options.account, keeps_trying=options.keep_trying)
    core.observe(tell_update)
    screen = asyncio.create_task(core.present(view))
    await asyncio.sleep(0)
    tell("scheduled")
    try:
        async with core:
            tell("started")
            await act(core, await screen, options.action)
    finally:
        await asyncio.gather(screen, return_exceptions=True)


async def log_in_then_present(product: Product, options: argparse.Namespace, view: View) -> None:
    """Do it step by step, as the guide shows: log in with the account's id before a view is presented."""
    core = product.core(options.account, asks_partner=False)
    core.observe(tell_update)
    async with core:
        tell("started")
        anonymous_id = await product.accounts.known_id(options.account)
        if anonymous_id is not None:
            await core.auth.authenticate(LogInAnonymously(anonymous_id))
        await act(core, await core.present(view), options.action)


def first_view(mimi_profile: Profile) -> View:
    """Return a view of the product's own around the profile, which says when it runs."""

    async def view(auth: AuthController) -> ProfileScreen:
        tell("view", user=facts_of(auth.current_user))
        return await mimi_profile(auth)

    return view


async def act(core: MimiCore, screen: ProfileScreen, action: str) -> None:
    """Do what the person does."""
    tell_screen(screen)
    if action == "onboard":
        screen = await screen.onboard(year_of_birth=YEAR_OF_BIRTH)  # makes the anonymous user if there is none
        tell_screen(screen)
        tell_screen(await screen.keep_hearing_test(hearing_test()))
    elif action == "log-out":
        await core.auth.log_out()
    elif action == "reset":
        tell_screen(await screen.reset())


def hearing_test() -> HearingTestResult:
    """Return what the product's hearing test has measured, on headphones that nobody has calibrated."""
    return HearingTestResult(taken_at=dt.datetime.now(dt.UTC), calibrated=False, left=LEFT, right=RIGHT)


def tell(event: str, **facts: object) -> None:
    """Print what happens, now."""
    print(json.dumps({"event": event, **facts}), flush=True)


def tell_update(
    auth: AuthController, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
) -> None:
    """Be an observer, after the product's own."""
    tell("update", account=auth.account, current=facts_of(current), old=facts_of(old), error=name_of(error))


def tell_screen(screen: ProfileScreen) -> None:
    """Print what a person sees."""
    tell("screen", user=facts_of(screen.user), actions=sorted(screen.actions), is_onboarded=screen.is_onboarded)


def facts_of(user: MimiUser | None) -> dict[str, object] | None:
    """Return what may be printed of a user: enough to tell two apart, and too little to log in."""
    if user is None:
        return None
    test = user.latest_hearing_test
    told_test = None if test is None else f"{str(test.id)[:4]}…, {'' if test.calibrated else 'un'}calibrated"
    return {
        "id": f"{user.id[:8]}…",
        "anonymous_id": user.anonymous_id.masked,
        "year_of_birth": user.year_of_birth,
        "hearing_test": told_test,
    }


def name_of(error: BaseException | None) -> str | None:
    """Return the name of an error's class."""
    return None if error is None else type(error).__name__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one launch."""
    parser = argparse.ArgumentParser(description="One launch of a product of the partner.")
    parser.add_argument("product", help="its name, such as player or tv")
    parser.add_argument("account", help="the partner's account that is signed in")
    parser.add_argument("action", nargs="?", default="look", choices=["look", "onboard", "log-out", "reset"])
    parser.add_argument("--as-in-guide", action="store_true", help="log in with the account's id, then present")
    parser.add_argument("--keep-trying", action="store_true", help="let views wait until the server is back")
    parser.add_argument("--allow-named-users", action="store_true", help="forget allows_anonymous_user_only")
    parser.add_argument("--on-go", action="store_true", help="be ready, and begin with a line from standard input")
    options = parser.parse_args(arguments)
    try:
        product = Product.from_env(options.product)
    except ConfigurationError as error:
        print(f"ConfigurationError: {error}", file=sys.stderr)
        return 1
    if options.on_go:
        tell("ready")
        sys.stdin.readline()
    return asyncio.run(launch(product, options))


if __name__ == "__main__":
    sys.exit(main())
