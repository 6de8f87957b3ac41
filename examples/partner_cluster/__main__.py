"""`python -m examples.partner_cluster`: one PostgreSQL, two identity servers, three workers, and a rolling restart.

People visit their accounts all the while. At the end a table tells what became of them; the exit status is 1 unless
every account has one user, whom everybody met there, whose id is kept, and who can still log in.
"""

import argparse
import asyncio
import sys
import time

from ..partner_service.stopping import StoppedError, run_until_stopped
from .load import Balancer, visit_until
from .stage import Stage

ROWS = ("accounts", "users", "lost ids", "duplicates", "failed visits")


async def run(accounts: int, visitors: int) -> bool:
    """Run the demo; return whether all went well."""
    names = [f"a-{number}" for number in range(accounts)]
    began = time.monotonic()
    async with Stage() as stage:
        _say(began, f"{len(stage.servers)} identity servers and {len(stage.workers)} workers serve")
        balancer = Balancer([worker.url for worker in stage.workers])
        stopped = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            load = group.create_task(visit_until(stopped, balancer, names, visitors))
            unclean = await _restarted(stage, balancer, began)
            stopped.set()
        met = load.result()
        _say(began, f"{balancer.answered} visits; {balancer.passed_on} times another worker was asked")
        table = await _counted(stage, met)
    table["failed visits"] = balancer.failed
    for row in ROWS:
        print(f"{row:<16}{table[row]:>8}")
    return unclean == 0 and table["users"] == accounts and not any(table[row] for row in ROWS[2:])


async def _restarted(stage: Stage, balancer: Balancer, began: float) -> int:
    """Restart one process after the other, under load; return how many did not end well."""
    unclean = 0
    for kind, members in (("worker", stage.workers), ("identity server", stage.servers)):
        for number, member in enumerate(members, 1):
            before = balancer.answered
            status = await member.restart()
            unclean += status != 0
            _say(began, f"{kind} {number} restarted; {balancer.answered - before} visits meanwhile")
    return unclean


async def _counted(stage: Stage, met: dict[str, set[str]]) -> dict[str, int]:
    """Log every account in once more, by what is stored, and compare it with what was met and with what is kept."""
    kept, lost = await stage.kept_ids(), 0
    async with stage.core() as core:
        for account, ids in met.items():
            user = (await core.auth_for(account)).current_user
            lost += user is None or ids != {user.id} or kept.get(account) != user.anonymous_id.reveal()
    users = await stage.users()
    return {"accounts": len(met), "users": users, "lost ids": lost, "duplicates": max(users - len(met), 0)}


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:5.1f} s  {text}", flush=True)


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m examples.partner_cluster", description=__doc__)
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--visitors", type=int, default=16, help="how many people come at once")
    options = parser.parse_args()
    try:
        return 0 if asyncio.run(run_until_stopped(run(options.accounts, options.visitors))) else 1
    except StoppedError as stopped:
        print(f"\n{stopped}: no process is left, and the data are gone", file=sys.stderr)
        return stopped.status


if __name__ == "__main__":
    sys.exit(main())
