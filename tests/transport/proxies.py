"""An HTTP proxy on a real socket: tunnels by CONNECT, and requests in absolute form."""

import asyncio
import base64
import ssl
from urllib.parse import urlsplit

import aiohttp

from mimi_async.transport import Transport, read_proxy

from ..loopback import Listener, run_until_one_ends
from .doubles import CREDENTIALS, Naps

HOST = "127.0.0.1"
USER, PASSWORD = "jo@acme", "canary/pass:word"
QUOTED = "jo%40acme:canary%2Fpass%3Aword"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CANARIES = (PASSWORD, "canary%2Fpass", BASIC, USER, "jo%40acme")


def through(proxy: str, server: str, naps: Naps, session: aiohttp.ClientSession | None = None) -> Transport:
    way = read_proxy(proxy)
    return Transport(server, CREDENTIALS, session=session, proxy=way, sleep=naps.sleep, uniform=naps.uniform)


class ProxyServer(Listener):
    """Passes on what comes, to hosts that it maps to addresses of this machine; it keeps what it was asked.

    Args:
        hosts: A name that only the proxy knows → the port of 127.0.0.1 behind it; 127.0.0.1 needs none.
        tls: To speak TLS to its clients.
        credentials: "user:password" that it wants.
        refusal: The status by which it refuses each request.

    Attributes:
        heads: The heads of the requests to the proxy.
        connections: How many were made.
    """

    def __init__(
        self,
        hosts: dict[str, int] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        credentials: str | None = None,
        refusal: int | None = None,
    ) -> None:
        super().__init__(tls)
        self.heads: list[str] = []
        self.connections = 0
        self._hosts = hosts or {}
        self._basic = None if credentials is None else base64.b64encode(credentials.encode()).decode()
        self._refusal = refusal

    @property
    def scheme(self) -> str:
        return "https" if self._tls else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        status = self._refusal or (407 if self._basic and f"Basic {self._basic}" not in head else None)
        if status is not None:
            writer.write(f"HTTP/1.1 {status} canary-reason\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        name = target.rpartition(":")[0] if method == "CONNECT" else urlsplit(target).hostname or ""
        port = self._hosts.get(name) or int(target.rpartition(":")[2] if method == "CONNECT" else _port_of(target))
        far, out = await asyncio.open_connection("127.0.0.1", port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = "/" + target.split("/", 3)[3]
                out.write(head.replace(target, path, 1).encode())
            await run_until_one_ends(_pump(reader, out), _pump(far, writer))
        finally:
            out.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


def _port_of(target: str) -> int:
    return urlsplit(target).port or 80
