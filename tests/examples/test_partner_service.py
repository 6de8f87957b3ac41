"""The walk-through (`make demo`), with a correct and with a broken launch, and the partner's table of accounts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.partner_service.accounts import Accounts
from examples.partner_service.product import Product, store_of
from mimi_async import AnonymousId
from mimi_async.testing import IdentityServer

from .broken_launch import BREAKAGES

ROOT = Path(__file__).parents[2]
AN_ID = AnonymousId("12345678-1234-1234-1234-123456789abc")
ANOTHER_ID = AnonymousId("aaaaaaaa-1234-1234-1234-123456789abc")
WHOLE_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def walk_through(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", "-m", "examples.demo", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=100, check=False
    )


def test_all_checks_of_the_walk_through_hold() -> None:
    done = walk_through()

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    steps, all_steps, checks, all_checks = map(int, re.findall(r"\d+", done.stdout.splitlines()[-1])[:4])
    assert steps == all_steps == 8
    assert checks == all_checks == done.stdout.count("✓")
    assert checks >= 40
    assert "✗" not in done.stdout
    assert not WHOLE_ID.search(done.stdout)


@pytest.mark.parametrize("module", ["examples.demo", "examples.demo.web"])
def test_without_click_a_demo_prints_one_line_that_names_the_extra(module: str, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text('raise ModuleNotFoundError("none", name="click")')
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-m", module]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 1
    assert done.stderr == "it did not start: the command line needs click: pip install 'mimi-async[cli]'\n"


@pytest.mark.parametrize(("steps", "broken", "failed"), BREAKAGES, ids=[each[1] for each in BREAKAGES])
def test_the_walk_through_detects_a_broken_launch(steps: str, broken: str, failed: set[str]) -> None:
    done = walk_through("--steps", steps, "--launch-module", "tests.examples.broken_launch", BREAKAGE=broken)

    assert done.returncode == 1, done.stdout
    assert failed <= set(re.findall("✗ (.*)", done.stdout))
    assert not done.stdout.splitlines()[-1].startswith(f"{steps} of {steps}")


async def test_storing_an_id_is_idempotent(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts.sqlite3")
    assert await accounts.known_id("anna") is None
    for _ in range(2):
        await accounts.keep("anna", AN_ID)
    assert await accounts.known_id("anna") == AN_ID
    assert await accounts.known_id("ben") is None


async def test_only_the_erased_id_is_deleted(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts.sqlite3")
    await accounts.keep("anna", AN_ID)
    await accounts.drop("anna", ANOTHER_ID)
    assert await accounts.known_id("anna") == AN_ID
    for _ in range(2):
        await accounts.drop("anna", AN_ID)
    assert await accounts.known_id("anna") is None


async def test_a_late_update_of_an_erasure_keeps_the_newer_id(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "accounts.sqlite3")
    async with IdentityServer() as server:
        player, tv = (
            Product(name, server.url, server.new_client(), accounts, store_of(tmp_path, name))
            for name in ("player", "tv")
        )
        async with player.core("anna") as core:
            await core.auth.ensure_user()
        async with tv.core("anna") as core:
            assert core.auth.current_user is not None
        async with player.core("anna") as core:
            await core.auth.reset()
            user = await core.auth.ensure_user()
        async with tv.core("anna"):
            assert await accounts.known_id("anna") == user.anonymous_id
        async with tv.core("anna") as core:
            assert core.auth.current_user == user
        assert server.users == 1
