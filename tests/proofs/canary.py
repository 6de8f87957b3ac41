"""Find secrets in output: collect all secrets of a test and all texts that it shows, and search one in the other."""

import asyncio
import base64
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from mimi_async import ClientCredentials, wire
from mimi_async.errors import MimiError
from mimi_async.records.session import Send
from mimi_async.secret import Secret
from mimi_async.stores import DamagedIdentity, IdentityStore, StoredIdentity


class Canary(logging.Handler):
    """The secrets and the shown texts of one test.

    Attributes:
        errors: Number of exceptions recorded.
    """

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.errors = 0
        self._secrets: dict[str, str] = {}
        self._texts: list[str] = []

    def add_secret(self, kind: str, text: str) -> None:
        """Add a secret in all encodings, whole and, if it is long, in halves."""
        half = len(text) // 2
        for part in (text, text[:half], text[half:]) if half >= 16 else (text,):
            raw = part.encode()
            for form in (
                part,
                part.replace("-", ""),
                base64.b64encode(raw).decode().rstrip("="),
                raw.hex(),
                quote(part),
            ):
                self._secrets.setdefault(form, kind)

    def add_client(self, credentials: ClientCredentials) -> None:
        """Add the secret of a client, also in the form of HTTP Basic."""
        text = credentials.secret.reveal()
        self.add_secret("client secret", text)
        basic = base64.b64encode(f"{credentials.client_id}:{text}".encode()).decode()
        self._secrets[basic] = self._secrets[basic[:-12]] = "basic"

    def add_record(self, record: StoredIdentity | DamagedIdentity | None) -> None:
        """Add the secret of a record."""
        if isinstance(record, StoredIdentity):
            self.add_secret(f"{record.state} secret", record.secret.reveal())

    def add_exchange(self, request: wire.Request, reply: wire.Reply | None) -> None:
        """Add the secrets of a request and its reply."""
        for secret in (request.token, request.idempotency_key):
            if secret is not None:
                self.add_secret(type(secret).__name__, secret.reveal())
        if reply is not None and reply.body.startswith(b'{"user"'):
            message = json.loads(reply.body)
            for name in message.keys() & {"access_token", "anonymous_id"}:
                self.add_secret(name, message[name])

    def record(self, *values: object) -> None:
        """Record the repr and the str of values."""
        for value in values:
            self._texts.append(repr(value))
            try:
                self._texts.append(str(value))
            except TypeError:
                assert isinstance(value, Secret)

    def record_error(self, error: BaseException, *, capture_locals: bool = True) -> None:
        """Record an exception with its causes, contexts and traceback, by default with the locals of its frames."""
        formatted = traceback.TracebackException.from_exception(error, capture_locals=capture_locals)
        self._texts.extend(formatted.format())
        if isinstance(error, MimiError):
            self._texts.append(pickle.dumps(error).decode("latin-1"))
        self._walk(error, set())

    def _walk(self, error: BaseException | None, seen: set[int]) -> None:
        if error is None or id(error) in seen:
            return
        seen.add(id(error))
        self.errors += 1
        self.record(error, *error.args, *error.__dict__.values())
        for other in (error.__cause__, error.__context__):
            self._walk(other, seen)

    def emit(self, record: logging.LogRecord) -> None:
        """Record a log record."""
        self._texts.append(f"{record.name} {record.getMessage()} {record.args!r}")
        if record.exc_info and record.exc_info[1] is not None:
            self.record_error(record.exc_info[1])

    @contextmanager
    def capture_logs(self) -> Iterator[None]:
        """Record all loggers at DEBUG, with asyncio's debug mode, which logs each callback."""
        root, loop = logging.getLogger(), asyncio.get_running_loop()
        level, slow = root.level, loop.slow_callback_duration
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        loop.set_debug(True)
        loop.slow_callback_duration = 0
        try:
            yield
        finally:
            loop.set_debug(False)
            loop.slow_callback_duration = slow
            root.removeHandler(self)
            root.setLevel(level)

    @property
    def figures(self) -> dict[str, int]:
        """Return how many secrets, errors and texts were compared."""
        return {
            "secrets": len(self._secrets),
            "errors": self.errors,
            "texts": len(self._texts),
            "secrets_shown": 0,
        }

    def find_leaks(self, *more: str) -> set[str]:
        """Return the kind of each secret that a text contains, with the text before it."""
        output = "\n".join((*self._texts, *more))
        return {
            f"{kind} in …{output[max(0, at - 60) : at]}"
            for secret, kind in self._secrets.items()
            if (at := output.find(secret)) >= 0
        }

    def wrap_send(self, send: Send) -> Send:
        """Wrap a send so that its exchanges are added and recorded."""

        async def send_recorded(request: wire.Request) -> wire.Reply:
            self.add_exchange(request, None)
            self.record(request)
            reply = await send(request)
            self.add_exchange(request, reply)
            self.record(reply)
            return reply

        return send_recorded


class CanaryStore(IdentityStore):
    """A store that adds its records to a canary; if `failure` is set, all methods raise it."""

    def __init__(self, inner: IdentityStore, canary: Canary) -> None:
        self.failure: Exception | None = None
        self._inner = inner
        self._canary = canary

    async def __aenter__(self) -> "CanaryStore":  # noqa: PYI034 - it is what its inner store makes of it
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._inner.__aexit__(*exc_info)

    def _heard(self, *records: StoredIdentity | DamagedIdentity | None) -> None:
        for record in records:
            self._canary.add_record(record)
        self._canary.record(*records)

    async def load(self, account: str) -> StoredIdentity | None:
        self._fail()
        record = await self._inner.load(account)
        self._heard(record)
        return record

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        self._heard(record)
        self._fail()
        winner = await self._inner.claim(account, record)
        self._heard(winner)
        return winner

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        self._heard(expected, new)
        self._fail()
        return await self._inner.replace(account, expected, new)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        self._heard(expected)
        self._fail()
        return await self._inner.forget(account, expected)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
