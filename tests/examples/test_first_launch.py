"""The single-user example, run from a terminal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mimi_async.testing import IdentityServer

from ..server.test_file_systems import needs_private_group

EXAMPLE = Path(__file__).parents[2] / "examples" / "first_launch.py"


class App:
    """The example in a folder of its own."""

    def __init__(self, server: IdentityServer, folder: Path) -> None:
        self._example = shutil.copy(EXAMPLE, folder)
        self.file = folder / "first_launch.sqlite3"
        self._environ = {
            **os.environ,
            "MIMI_SERVER": server.url,
            "MIMI_CLIENT_ID": server.credentials.client_id,
            "MIMI_CLIENT_SECRET": server.credentials.secret.reveal(),
        }
        self._environ.pop("MIMI_STORE_URL", None)

    def launch(self) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-W", "error", self._example]
        return subprocess.run(
            command, cwd="/", env=self._environ, capture_output=True, text=True, timeout=60, check=False
        )


@needs_private_group
def test_it_starts_in_a_new_clone_under_umask_002(mimi_server: IdentityServer, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    clone.chmod(0o775)
    launched = App(mimi_server, clone).launch()
    assert launched.returncode == 0
    assert launched.stderr.endswith("new and empty\n")


@pytest.fixture
def app(mimi_server: IdentityServer, tmp_path: Path) -> App:
    return App(mimi_server, tmp_path)


def test_the_first_launch_onboards_and_the_second_finds_the_same_user(app: App, mimi_server: IdentityServer) -> None:
    first, second = app.launch(), app.launch()

    created = f"the identity store {app.file} was missing: it was created, new and empty\n"
    assert (first.returncode, first.stderr) == (0, created)
    assert (second.returncode, second.stderr) == (0, "")
    assert "first launch" in first.stdout
    assert "first launch" not in second.stdout
    assert "born in 1980" in second.stdout
    assert second.stdout.splitlines()[0] in first.stdout  # the observer gets the same user at the restore
    assert mimi_server.users == 1


def test_a_launch_without_the_server_fails_with_the_reason_and_loses_nothing(
    app: App, mimi_server: IdentityServer
) -> None:
    app.launch()
    mimi_server.fail("/v1/sessions", problem="credentials-rejected", times=None)
    refused = app.launch()
    mimi_server.clear_faults()
    later = app.launch()

    assert refused.returncode == 1
    assert refused.stderr.startswith("StartupError: ")
    assert "check id and secret" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "born in 1980" in later.stdout
    assert mimi_server.users == 1


def test_a_creation_that_was_cut_off_is_finished_and_not_called_a_first_launch(
    app: App, mimi_server: IdentityServer
) -> None:
    mimi_server.drop_reply("/v1/anonymous-users", times=None)
    cut_off = app.launch()
    mimi_server.clear_faults()
    later = app.launch()

    assert (cut_off.returncode, cut_off.stdout) == (1, "first launch: not onboarded yet\n")
    assert (later.returncode, later.stderr) == (0, "")
    assert "found the user of an interrupted launch: not onboarded yet\n" in later.stdout
    assert "first launch" not in later.stdout
    assert "born in 1980" in later.stdout
    assert mimi_server.users == 1


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
