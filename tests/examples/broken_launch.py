"""A launch of a product with defects, which the walk-through must detect.

BREAKAGE in the environment names the defects, separated by commas.
"""

import os
import sys
from typing import Any

from examples.demo import launch
from examples.demo.launch import print_update
from examples.partner_service.accounts import Accounts
from examples.partner_service.product import Product


async def keep_nothing(*_: object) -> None:
    """Lose the id."""


async def drop_at_log_out(self: Product, auth: Any, /, *, current: Any, old: Any, **_: object) -> None:
    """Handle each update without a user as an erasure."""
    if current is not None:
        await self.accounts.keep(auth.account, current.anonymous_id)
    elif old is not None:
        await self.accounts.drop(auth.account, old.anonymous_id)


def print_id(auth: Any, /, *, current: Any, **rest: Any) -> None:
    """Print the whole id."""
    print_update(auth, current=current, **rest)
    if current is not None:
        launch.print_event("found", anonymous_id=current.anonymous_id.reveal())


DEFECTS: dict[str, tuple[object, str, object]] = {
    "keep": (Accounts, "keep", keep_nothing),
    "log-out": (Product, "remember", drop_at_log_out),
    "print": (launch, "print_update", print_id),
}

BREAKAGES: list[tuple[str, str, set[str]]] = [
    ("1", "keep", {"the observer stores the id with the partner's account"}),
    (
        "8",
        "log-out,print",
        {"the partner's account keeps the id", "no process has printed an id or a client secret"},
    ),
]
"""Number of steps, defects, and the checks that must fail."""

if __name__ == "__main__":
    for defect in os.environ["BREAKAGE"].split(","):
        setattr(*DEFECTS[defect])
    sys.exit(launch.main())
