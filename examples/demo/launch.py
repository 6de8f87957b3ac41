"""Run one launch of a product: what its app does between its start and its end.

    python -m examples.demo.launch player anna onboard

`Product.from_env` names the environment variables that it reads. It prints one line of JSON for each event, with masked
ids. The exit status is 1 if the SDK raises an error.
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

from ..partner_service.product import Product, profile

View = Callable[[AuthController], Awaitable[ProfileScreen]]

YEAR_OF_BIRTH = 1980
LEFT = {250: 10, 500: 10, 1000: 15, 2000: 20, 4000: 35, 8000: 40}
RIGHT = {250: 5, 500: 10, 1000: 10, 2000: 20, 4000: 30, 8000: 35}


async def launch(product: Product, options: argparse.Namespace) -> int:
    """Start the core, present the profile, perform the action of the user, and leave; return the exit status."""
    try:
        view = first_view(profile(allows_anonymous_user_only=not options.allow_named_users))
        if options.as_in_guide:
            await log_in_then_present(product, options, view)
        else:
            await present_then_start(product, options, view)
    except MimiError as error:
        print_event("failed", error=error_name(error), cause=error_name(error.__cause__), message=str(error))
        return 1
    return 0


async def present_then_start(product: Product, options: argparse.Namespace, view: View) -> None:
    """Present a view before the core is entered: it waits at the gate and runs after the restore."""
    core = product.core(options.account, retries_restore=options.retry)
    core.observe(print_update)
    screen = asyncio.create_task(core.present(view))
    await asyncio.sleep(0)
    print_event("scheduled")
    try:
        async with core:
            print_event("started")
            await act(core, await screen, options.action)
    finally:
        await asyncio.gather(screen, return_exceptions=True)


async def log_in_then_present(product: Product, options: argparse.Namespace, view: View) -> None:
    """Log in with the id of the account, then present a view, as the guide does."""
    core = product.core(options.account, asks_partner=False)
    core.observe(print_update)
    async with core:
        print_event("started")
        anonymous_id = await product.accounts.known_id(options.account)
        if anonymous_id is not None:
            await core.auth.authenticate(LogInAnonymously(anonymous_id))
        await act(core, await core.present(view), options.action)


def first_view(mimi_profile: Profile) -> View:
    """Wrap the profile in a view that prints an event when it runs."""

    async def view(auth: AuthController) -> ProfileScreen:
        print_event("view", user=describe(auth.current_user))
        return await mimi_profile(auth)

    return view


async def act(core: MimiCore, screen: ProfileScreen, action: str) -> None:
    """Perform the action of the user."""
    print_screen(screen)
    if action == "onboard":
        screen = await screen.onboard(year_of_birth=YEAR_OF_BIRTH)  # makes the anonymous user if there is none
        print_screen(screen)
        print_screen(await screen.keep_hearing_test(hearing_test()))
    elif action == "log-out":
        await core.auth.log_out()
    elif action == "reset":
        print_screen(await screen.reset())


def hearing_test() -> HearingTestResult:
    """Return a result of the product's hearing test, measured on uncalibrated headphones."""
    return HearingTestResult(taken_at=dt.datetime.now(dt.UTC), calibrated=False, left=LEFT, right=RIGHT)


def print_event(event: str, **facts: object) -> None:
    """Print an event as a line of JSON."""
    print(json.dumps({"event": event, **facts}), flush=True)


def print_update(
    auth: AuthController, /, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
) -> None:
    """Print an update. This observer is called after the product's own."""
    print_event("update", account=auth.account, current=describe(current), old=describe(old), error=error_name(error))


def print_screen(screen: ProfileScreen) -> None:
    """Print what the profile shows."""
    print_event("screen", user=describe(screen.user), actions=sorted(screen.actions), is_onboarded=screen.is_onboarded)


def describe(user: MimiUser | None) -> dict[str, object] | None:
    """Return the printable fields of a user: enough to distinguish two users, too little to log in."""
    if user is None:
        return None
    test = user.latest_hearing_test
    test_text = None if test is None else f"{str(test.id)[:4]}…, {'' if test.calibrated else 'un'}calibrated"
    return {
        "id": f"{user.id[:8]}…",
        "anonymous_id": user.anonymous_id.masked,
        "year_of_birth": user.year_of_birth,
        "hearing_test": test_text,
    }


def error_name(error: BaseException | None) -> str | None:
    """Return the class name of an error."""
    return None if error is None else type(error).__name__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one launch."""
    parser = argparse.ArgumentParser(description="One launch of a product of the partner.")
    parser.add_argument("product", help="its name, such as player or tv")
    parser.add_argument("account", help="the partner's account that is signed in")
    parser.add_argument("action", nargs="?", default="look", choices=["look", "onboard", "log-out", "reset"])
    parser.add_argument("--as-in-guide", action="store_true", help="log in with the account's id, then present")
    parser.add_argument("--retry", action="store_true", help="let views wait until the server is back")
    parser.add_argument("--allow-named-users", action="store_true", help="forget allows_anonymous_user_only")
    parser.add_argument("--on-go", action="store_true", help="be ready, and begin with a line from standard input")
    options = parser.parse_args(arguments)
    try:
        product = Product.from_env(options.product)
    except ConfigurationError as error:
        print(f"ConfigurationError: {error}", file=sys.stderr)
        return 1
    if options.on_go:
        print_event("ready")
        sys.stdin.readline()
    return asyncio.run(launch(product, options))


if __name__ == "__main__":
    sys.exit(main())
