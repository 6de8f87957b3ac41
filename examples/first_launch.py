"""A single-user app. Its first launch makes an anonymous Mimi user, each later one finds it again.

Run `.venv/bin/mimi-async serve` in one terminal and, twice, `.venv/bin/python examples/first_launch.py` in another.
"""

import asyncio
import os

from mimi_async import (
    AuthController,
    ClientCredentials,
    MimiCore,
    MimiError,
    MimiUser,
    Profile,
    ProfileConfiguration,
)
from mimi_async.stores import open_store

SERVER = os.environ.get("MIMI_SERVER", "http://127.0.0.1:8765")
CLIENT = os.environ.get("MIMI_CLIENT_ID", "mimi-dev"), os.environ.get("MIMI_CLIENT_SECRET", "mimi-dev-secret")
STORE = os.environ.get("MIMI_STORE_URL", "sqlite:///first_launch.sqlite3")


def observer(auth: AuthController, /, *, current: MimiUser | None, **_: object) -> None:
    """Be told who the user is: a host with accounts of its own stores the id with the account here (step 3)."""
    if current is not None:
        print(f"observer: the account {auth.account!r} has the user {current.anonymous_id.masked}")


async def main() -> None:
    """Start, restore, present the profile, and onboard where nobody has."""
    # Without this flag a profile could offer a log-in by name: it would be refused (step 4).
    profile = Profile(ProfileConfiguration(allows_anonymous_user_only=True))
    core = MimiCore(ClientCredentials(*CLIENT), server=SERVER, store=open_store(STORE))
    core.observe(observer)  # from before the start, so that nothing is missed; it is held strongly
    async with core:  # start, and log in with the stored id if there is one (steps 1 and 2)
        screen = await core.present(profile)  # runs behind the gate, once it is known who the user is
        if not screen.is_onboarded:
            told = "first launch" if screen.user is None else "the user of a launch that was cut off was found"
            print(f"{told}: nobody has onboarded yet")
            screen = await screen.onboard(year_of_birth=1980)  # makes the anonymous user where there is none
        if screen.user is not None:
            print(f"profile: born in {screen.user.year_of_birth}; offers {', '.join(sorted(screen.actions))}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except MimiError as error:  # nothing was lost: the next launch goes on where this one stopped
        msg = f"{type(error).__name__}: {error}"
        raise SystemExit(msg) from None
