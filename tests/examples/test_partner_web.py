"""`make web`: the identity server and both products as processes."""

import asyncio
import json
import os
import re
import signal
import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from examples.demo.web import main

from .programs import Program, left_of, program
from .sites import Person

ADDRESS = re.compile(r"(player|tv) +(http://127\.0\.0\.1:\d+)/\n")
ANY_PORTS = ("--ports", "0", "0")


class Web(Program):
    """`python -m examples.demo.web`, running."""

    async def addresses(self) -> dict[str, str]:
        """Read the addresses of the products."""
        lines = [await self.line() for _ in range(2)]
        found = [ADDRESS.fullmatch(line) for line in lines]
        assert all(found), (lines, await self.ended(), self.err)
        return {match[1]: match[2] for match in found if match}


def web(*arguments: str) -> AbstractAsyncContextManager[Web]:
    return program(Web, "examples.demo.web", *arguments)


async def malformed(address: str) -> None:
    """Send a malformed request with a cookie in it."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: player-session=a-secret\x00\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_both_products_answer_until_a_signal_ends_all_and_data_keeps_the_data(
    tmp_path: Path, anna: Person
) -> None:
    data = tmp_path / "data"
    password = {"account": "anna", "password": "a long password"}
    async with web(*ANY_PORTS, "--data", str(data)) as running:
        addresses = await running.addresses()
        children = running.children()
        pages = {product: await anna.get(f"{address}/") for product, address in addresses.items()}
        await malformed(addresses["player"])
        groups = {os.getpgid(pid) for pid in children}
        statuses = [(await anna.post(f"{addresses['player']}/sign-in", password)).status]
        running.signal(signal.SIGTERM)
        assert await running.ended() == 0

    assert groups == {*children}, "a Ctrl-C must reach only the parent process, which stops the others"
    assert {product: page.status for product, page in pages.items()} == {"player": 200, "tv": 200}
    assert "Acme TV" in pages["tv"].text
    assert len(children) == 3
    assert left_of(children) == set()
    assert ADDRESS.sub("", running.out) == "Ctrl-C ends all, and the data stay.\n"
    assert running.err == ""
    secrets = [secret for _, secret in json.loads((data / "clients.json").read_text()).values()]
    assert len(secrets) == 2
    assert not any(secret in command for secret in secrets for command in children.values())

    async with web(*ANY_PORTS, "--data", str(data)) as running:
        address = (await running.addresses())["player"]
        forms = {**password, "password": "another password"}, password
        statuses += [(await anna.post(f"{address}/sign-in", form)).status for form in forms]
    assert statuses == [303, 403, 303]
    assert (data / "clients.json").stat().st_mode & 0o777 == 0o600


async def test_a_signal_during_the_start_ends_all() -> None:
    async with web(*ANY_PORTS) as running:
        children = await running.first_children()
        running.signal(signal.SIGINT)
        assert await running.ended() == 0

    assert left_of(children) == set()
    assert "Traceback" not in running.err


async def test_expected_events_are_not_logged(anna: Person) -> None:
    async with web(*ANY_PORTS) as running:
        player, tv = (await running.addresses()).values()
        for address in (player, tv):
            await anna.post(f"{address}/sign-in", {"account": "anna", "password": "a long password"})
        await anna.onboard(player.rstrip("/"))
        before = await anna.get(f"{tv}/mimi/")
        binding = (await anna.get(f"{player}/mimi/reset")).values[0]
        erased = await anna.post(f"{player}/mimi/reset", {"binding": binding, "sure": "yes"})
        after = await anna.get(f"{tv}/mimi/")
        running.signal(signal.SIGINT)
        assert await running.ended() == 0

    assert "Your hearing profile" in before.text
    assert erased.fields["Location"] == "./erased"
    assert "Make sound fit your hearing" in after.text  # the server has answered 410, which is expected
    assert running.err == ""
    assert ADDRESS.sub("", running.out) == "Ctrl-C ends all, and the data are deleted.\n"


async def test_the_end_of_one_process_is_reported_and_ends_all() -> None:
    async with web(*ANY_PORTS) as running:
        await running.addresses()
        children = running.children()
        os.kill(next(pid for pid, command in children.items() if "partner_service tv" in command), signal.SIGKILL)
        assert await running.ended() == 1

    assert "tv has ended, with the status -9" in running.err
    assert "Traceback" not in running.err
    assert left_of(children) == set()


async def test_a_given_port_that_is_taken_ends_all_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with web("--ports", "0", port) as product, web(*ANY_PORTS, "--server-port", port) as server:
            assert [await product.ended(), await server.ended()] == [1, 1]

    assert product.err.startswith("tv: it did not start: ")
    assert product.err.endswith(
        f"port {port} is taken: choose another, by --port, or with `make web` by ARGS='--ports 8090 8091'\n"
    )
    assert product.err.count("\n") == 1
    assert f"can't listen on 127.0.0.1 port {port}: Address already in use; choose another, or 0" in server.err
    assert "Traceback" not in server.err


@pytest.mark.parametrize("options", [("--ports", "0", "65536"), ("--server-port", "-1"), ("--server-port", "x")])
def test_an_invalid_port_is_refused(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert capsys.readouterr().err.endswith(f"a port is 0 to 65535, not '{options[-1]}'\n")


async def test_a_default_port_that_is_taken_is_replaced_by_a_free_one(anna: Person) -> None:
    with socket.socket() as usual:
        usual.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            usual.bind(("127.0.0.1", 8080))
            usual.listen()
        except OSError:
            pass  # another process listens there, which is the same
        async with web() as running:
            addresses = await running.addresses()
            assert not addresses["player"].endswith(":8080")
            assert (await anna.get(f"{addresses['player']}/")).status == 200
