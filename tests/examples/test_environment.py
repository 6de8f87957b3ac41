"""An example without a variable of its environment names the variable and the section of README."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READ = ("MIMI_", "PARTNER_")


def run(module: str, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith(READ)} | environ
    command = [sys.executable, "-W", "error", "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("command", "environ", "missing"),
    [
        ("partner_service player", {}, "MIMI_CLIENT_ID"),
        ("demo.launch player anna", {"MIMI_CLIENT_ID": "player"}, "MIMI_CLIENT_SECRET"),
    ],
)
def test_a_product_without_credentials_says_which_variable_is_missing(
    command: str, environ: dict[str, str], missing: str, tmp_path: Path
) -> None:
    module, *arguments = command.split()
    ended = run(f"examples.{module}", *arguments, PARTNER_DATA=str(tmp_path), **environ)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"ConfigurationError: set {missing}: ")
    assert ended.stderr.endswith("; README gives them under 'Try it'\n")


def test_a_worker_of_the_cluster_says_which_variables_are_missing() -> None:
    ended = run("examples.many_machines.worker", MIMI_SERVER="http://127.0.0.1:1", MIMI_CLIENT_ID="player")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("set MIMI_CLIENT_SECRET and MIMI_STORE_URL and PARTNER_DATABASE: README describes ")
    assert len(ended.stderr.splitlines()) == 1


def test_the_sections_of_readme_that_are_named_set_these_variables() -> None:
    readme = (ROOT / "README.md").read_text()
    for section, names in (
        ("Try it", ("MIMI_SERVER=", "MIMI_CLIENT_ID=", "MIMI_CLIENT_SECRET=")),
        ("On many machines", ("MIMI_STORE_URL=",)),
    ):
        text = readme.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        exports = [line for line in text.splitlines() if line.startswith("    export ")]
        assert [name for name in names if not any(name in line for line in exports)] == []
