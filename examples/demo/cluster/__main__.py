"""`python -m examples.demo.cluster`: one PostgreSQL, two identity servers, three workers, and a rolling restart.

Visitors use their accounts all the time. At the end a table counts the accounts and their users; the exit status is 1
unless each account has exactly one user, every visit got this user, its id is stored, and it can still log in.
"""

import argparse
import asyncio
import sys
import time

from ..stopping import StoppedError, run_until_stopped
from .load import Balancer, run_visitors
from .stage import Stage

ROWS = ("accounts", "users", "lost ids", "duplicates", "failed visits")


async def run(accounts: int, visitors: int) -> bool:
    """Run the demo; return whether all checks hold."""
    names = [f"a-{number}" for number in range(accounts)]
    began = time.monotonic()
    async with Stage() as stage:
        _say(began, f"{len(stage.servers)} identity servers and {len(stage.workers)} workers serve")
        balancer = Balancer([worker.url for worker in stage.workers])
        stopped = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            load = group.create_task(run_visitors(stopped, balancer, names, visitors))
            unclean = await _restart_all(stage, balancer, began)
            stopped.set()
        seen = load.result()
        _say(began, f"{balancer.answered} visits; {balancer.passed_on} times another worker was asked")
        table = await _count(stage, seen)
    table["failed visits"] = balancer.failed
    for row in ROWS:
        print(f"{row:<16}{table[row]:>8}")
    return unclean == 0 and table["users"] == accounts and not any(table[row] for row in ROWS[2:])


async def _restart_all(stage: Stage, balancer: Balancer, began: float) -> int:
    """Restart one process after another under load; return how many ended with an error."""
    unclean = 0
    for kind, members in (("worker", stage.workers), ("identity server", stage.servers)):
        for number, member in enumerate(members, 1):
            before = balancer.answered
            status = await member.restart()
            unclean += status != 0
            _say(began, f"{kind} {number} restarted; {balancer.answered - before} visits during the restart")
    return unclean


async def _count(stage: Stage, seen: dict[str, set[str]]) -> dict[str, int]:
    """Log in to each account with its stored id; compare the user with the users seen and with the partner's table."""
    kept, lost = await stage.kept_ids(), 0
    async with stage.core() as core:
        for account, ids in seen.items():
            user = (await core.auth_for(account)).current_user
            lost += user is None or ids != {user.id} or kept.get(account) != user.anonymous_id.reveal()
    users = await stage.users()
    return {"accounts": len(seen), "users": users, "lost ids": lost, "duplicates": max(users - len(seen), 0)}


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:5.1f} s  {text}", flush=True)


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo.cluster", description=__doc__)
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--visitors", type=int, default=16, help="number of concurrent visitors")
    options = parser.parse_args()
    try:
        return 0 if asyncio.run(run_until_stopped(run(options.accounts, options.visitors))) else 1
    except StoppedError as stopped:
        print(f"\n{stopped}: no process is left, and the data are deleted", file=sys.stderr)
        return stopped.status


if __name__ == "__main__":
    sys.exit(main())
