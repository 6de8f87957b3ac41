"""A single-user app. Its first launch creates an anonymous Mimi user; each later launch restores it.

Run `.venv/bin/mimi-async serve` in one terminal and, twice, `.venv/bin/python examples/first_launch.py` in another.
"""

import asyncio
import os
from pathlib import Path

from mimi_async import AuthController, ClientCredentials, MimiCore, MimiError, MimiUser, Profile, ProfileConfiguration
from mimi_async.stores import SQLiteStore, open_store

SERVER = os.environ.get("MIMI_SERVER", "http://127.0.0.1:8765")
CLIENT = os.environ.get("MIMI_CLIENT_ID", "mimi-dev"), os.environ.get("MIMI_CLIENT_SECRET", "mimi-dev-secret")
FILE = Path(__file__).with_name("first_launch.sqlite3")  # absolute: the same file from every working directory


def observer(auth: AuthController, /, *, current: MimiUser | None, **_: object) -> None:
    """Print the user. A host with accounts of its own stores the id with the account here (step 3)."""
    if current is not None:
        print(f"observer: the account {auth.account!r} has the user {current.anonymous_id.masked}")


async def main() -> None:
    """Start, restore, present the profile, and onboard a new user."""
    # Without this flag a profile could offer a log-in by name: it would be refused (step 4).
    profile = Profile(ProfileConfiguration(allows_anonymous_user_only=True))
    store = open_store() if "MIMI_STORE_URL" in os.environ else SQLiteStore(FILE)
    core = MimiCore(ClientCredentials(*CLIENT), server=SERVER, store=store)
    core.observe(observer)  # before the start, so that no update is missed; the core holds it strongly
    async with core:  # start, and log in with the stored id if there is one (steps 1 and 2)
        screen = await core.present(profile)  # waits at the gate until the restore has succeeded
        if not screen.is_onboarded:
            state = "first launch" if screen.user is None else "found the user of an interrupted launch"
            print(f"{state}: not onboarded yet")
            screen = await screen.onboard(year_of_birth=1980)  # creates the anonymous user if there is none
        if screen.user is not None:
            print(f"profile: born in {screen.user.year_of_birth}; offers {', '.join(sorted(screen.actions))}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except MimiError as error:  # nothing is lost: the next launch continues
        msg = f"{type(error).__name__}: {error}"
        raise SystemExit(msg) from None
