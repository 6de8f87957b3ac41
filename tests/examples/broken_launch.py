"""A launch of the partner service with something broken in it: the walk-through must see it.

BREAKAGE in the environment names what is broken.
"""

import os
import sys
from typing import Any

from examples.partner_service import launch
from examples.partner_service.accounts import Accounts
from examples.partner_service.launch import tell_update
from examples.partner_service.product import Product


async def keep_nothing(*_: object) -> None:
    """Lose the id, as an observer does that nobody has connected."""


async def drop_at_log_out(self: Product, auth: Any, /, *, current: Any, old: Any, **_: object) -> None:
    """Take every update without a user for an erasure."""
    if current is not None:
        await self.accounts.keep(auth.account, current.anonymous_id)
    elif old is not None:
        await self.accounts.drop(auth.account, old.anonymous_id)


def tell_all(auth: Any, /, *, current: Any, **rest: Any) -> None:
    """Tell the whole id."""
    tell_update(auth, current=current, **rest)
    if current is not None:
        launch.tell("found", anonymous_id=current.anonymous_id.reveal())


BREAKAGES: dict[str, tuple[object, str, object]] = {
    "the observer keeps nothing": (Accounts, "keep", keep_nothing),
    "the observer drops the id at a log-out": (Product, "remember", drop_at_log_out),
    "an id is told": (launch, "tell_update", tell_all),
}

if __name__ == "__main__":
    setattr(*BREAKAGES[os.environ["BREAKAGE"]])
    sys.exit(launch.main())
