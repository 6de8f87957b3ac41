"""The samples in README, each run as the program or the test that it is."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import mimi_async
from mimi_async import AnonymousId, LogInAnonymously, MimiCore
from mimi_async.stores import MemoryStore, PostgresStore
from mimi_async.testing import IdentityServer

from .postgres_server import Postgres

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SAMPLES = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(sample: str, folder: Path, server: IdentityServer) -> str:
    """Run a sample in a folder of its own; return what it printed."""
    options = f"-m pytest -q -p no:cacheprovider -p no:asyncio -c {os.devnull} --rootdir {folder}".split()
    done = start(sample, folder, environment(server, folder), *(options if "def test_" in sample else ()))
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def start(sample: str, folder: Path, environ: dict[str, str], *options: str) -> "subprocess.CompletedProcess[str]":
    """Run a sample to its end, whatever its status."""
    (folder / "test_sample.py").write_text(sample)
    command = [sys.executable, "-W", "error", *options, "test_sample.py"]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False)


def environment(server: IdentityServer, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "MIMI_SERVER": server.url,
        "MIMI_CLIENT_ID": server.credentials.client_id,
        "MIMI_CLIENT_SECRET": server.credentials.secret.reveal(),
        "HOME": str(folder),
    }


def sample_of(title: str) -> str:
    return str(dict(SAMPLES)[title])


def test_every_sample_is_found() -> None:
    assert len(SAMPLES) == README.count("```python") == 6


@pytest.mark.parametrize("title", ["One user", "The guide's own way"])
def test_a_sample_of_one_user_finds_it_again(title: str, tmp_path: Path, mimi_server: IdentityServer) -> None:
    for _ in range(2):
        run(sample_of(title), tmp_path, mimi_server)
        assert mimi_server.users == 1
    assert [request.path for request in mimi_server.requests].count("/v1/anonymous-users") == 1


async def test_the_sample_of_the_guide_drops_an_id_that_was_erased_elsewhere(tmp_path: Path) -> None:
    async with IdentityServer() as server:
        await asyncio.to_thread(run, sample_of("The guide's own way"), tmp_path, server)
        anonymous_id = AnonymousId((tmp_path / "my_account.txt").read_text())
        async with MimiCore(server.new_client(), server=server.url, store=MemoryStore()) as tv:
            await tv.auth.authenticate(LogInAnonymously(anonymous_id))
            await tv.auth.reset()
        output = await asyncio.to_thread(run, sample_of("The guide's own way"), tmp_path, server)
        users = server.users

    assert output.startswith("erased on another product\noffers ")
    assert users == 1
    assert AnonymousId((tmp_path / "my_account.txt").read_text()) != anonymous_id


def test_the_sample_of_many_accounts_makes_one_user_each(tmp_path: Path, mimi_server: IdentityServer) -> None:
    output = run(sample_of("Many accounts in a service"), tmp_path, mimi_server)

    assert output == "10 users for 100 visits of 10 accounts\n"
    assert mimi_server.users == 10


def test_the_sample_of_many_machines_finds_the_same_user_in_each_process(
    tmp_path: Path, mimi_server: IdentityServer, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = postgres.make_database()
    asyncio.run(PostgresStore(dsn).init())
    monkeypatch.setenv("MIMI_STORE_URL", dsn)
    output = {run(sample_of("On many machines"), tmp_path, mimi_server) for _ in range(2)}

    assert len(output) == 1
    assert mimi_server.users == 1


def test_the_sample_of_the_pages_shows_them_to_a_signed_in_person(tmp_path: Path, mimi_server: IdentityServer) -> None:
    (tmp_path / "sample.py").write_text(sample_of("As web pages"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**environment(mimi_server, tmp_path), "PORT": str(port)}
    with subprocess.Popen([sys.executable, "-W", "error", "sample.py"], cwd=tmp_path, env=environ) as process:
        try:
            assert "Make sound fit your hearing" in fetched(f"http://127.0.0.1:{port}/mimi/", "account=anna")
        finally:
            process.terminate()
    assert mimi_server.users == 0


@pytest.mark.parametrize("title", [title for title, sample in SAMPLES if "MIMI_SERVER" in sample])
def test_a_sample_without_its_environment_says_what_to_set(title: str, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MIMI_")}
    done = start(sample_of(title), tmp_path, environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "set MIMI_SERVER: see 'Try it' in README\n"


def test_the_sample_of_the_pages_says_how_to_choose_another_port(tmp_path: Path, mimi_server: IdentityServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {**environment(mimi_server, tmp_path), "PORT": str(port)}
        done = start(sample_of("As web pages"), tmp_path, environ)
    assert done.returncode == 1
    assert f"('127.0.0.1', {port}): " in done.stderr
    assert done.stderr.endswith(": choose another port by the environment variable PORT\n")
    assert [line for line in done.stderr.splitlines() if "new and empty" not in line] == [done.stderr.splitlines()[-1]]


def test_the_samples_that_read_the_server_are_five() -> None:
    assert sum("MIMI_SERVER" in sample for _, sample in SAMPLES) == 5


def fetched(url: str, cookie: str) -> str:
    """Ask for a page until the server is there."""
    for _ in range(100):
        try:
            request = urllib.request.Request(url, headers={"Cookie": cookie})  # noqa: S310 - http, as written above
            with urllib.request.urlopen(request) as reply:  # noqa: S310
                return str(reply.read().decode())
        except OSError:
            time.sleep(0.1)
    pytest.fail("the sample does not answer")


def test_the_sample_of_a_test_is_a_test_that_passes(tmp_path: Path, mimi_server: IdentityServer) -> None:
    assert "1 passed" in run(sample_of("Tests of your own"), tmp_path, mimi_server)


def test_every_file_of_a_sample_and_of_an_example_is_named_by_an_absolute_path() -> None:
    samples = [sample for _, sample in SAMPLES]
    assert not [sample for sample in samples if 'Path("' in sample]
    texts = samples + [file.read_text() for file in (ROOT / "examples").rglob("*.py")]
    assert not [text for text in texts if re.search(r"SQLiteStore\(\"|sqlite:///[\w.]", text)]


def test_the_first_ten_lines_say_that_it_is_unofficial() -> None:
    start = " ".join(README.splitlines()[:10])

    assert "not affiliated with Mimi Hearing Technologies" in start
    assert "Unofficial" in start
    assert "the HTTP contract and the server here are ours" in start


def test_every_error_that_a_caller_may_meet_is_described() -> None:
    described = README[README.index("## When something fails") :]

    errors = {name: getattr(mimi_async, name) for name in mimi_async.__all__ if name.endswith("Error")}
    names = [name for name, kind in errors.items() if not set(kind.__subclasses__()) & set(errors.values())]
    assert len(names) >= 20
    assert [name for name in names if f"`{name}`" not in described] == []
