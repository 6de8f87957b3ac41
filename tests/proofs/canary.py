"""The canary: it learns every secret that passes, hears everything that is said, and looks for one in the other."""

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
from mimi_async.auth.records import Send
from mimi_async.errors import MimiError
from mimi_async.identity import Secret
from mimi_async.stores import DamagedIdentity, IdentityStore, StoredIdentity


class Canary(logging.Handler):
    """Keeps what was said and what must not be.

    Attributes:
        errors: How many exceptions were looked at.
    """

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.errors = 0
        self._secrets: dict[str, str] = {}
        self._said: list[str] = []

    # What must not be said -------------------------------------------------------------------------------------------

    def learn(self, kind: str, text: str) -> None:
        """Learn a secret in all the forms it might be shown in, whole and, where it is long, by halves."""
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

    def learn_client(self, credentials: ClientCredentials) -> None:
        """Learn a client's secret, also as HTTP Basic carries it."""
        text = credentials.secret.reveal()
        self.learn("client secret", text)
        basic = base64.b64encode(f"{credentials.client_id}:{text}".encode()).decode()
        self._secrets[basic] = self._secrets[basic[:-12]] = "basic"

    def learn_record(self, record: StoredIdentity | DamagedIdentity | None) -> None:
        """Learn what a store keeps."""
        if isinstance(record, StoredIdentity):
            self.learn(f"{record.state} secret", record.secret.reveal())

    def learn_exchange(self, request: wire.Request, reply: wire.Reply | None) -> None:
        """Learn what goes to the server and what comes back."""
        for secret in (request.token, request.idempotency_key):
            if secret is not None:
                self.learn(type(secret).__name__, secret.reveal())
        if reply is not None and reply.body.startswith(b'{"user"'):
            message = json.loads(reply.body)
            for name in message.keys() & {"access_token", "anonymous_id"}:
                self.learn(name, message[name])

    # What is said ----------------------------------------------------------------------------------------------------

    def hear(self, *values: object) -> None:
        """Take a value as a careless host would show it."""
        for value in values:
            self._said.append(repr(value))
            try:
                self._said.append(str(value))
            except TypeError:
                assert isinstance(value, Secret)

    def hear_error(self, error: BaseException, *, capture_locals: bool = True) -> None:
        """Take an exception with all that hangs on it, by default the locals of its frames too."""
        told = traceback.TracebackException.from_exception(error, capture_locals=capture_locals)
        self._said.extend(told.format())
        if isinstance(error, MimiError):
            self._said.append(pickle.dumps(error).decode("latin-1"))
        self._walk(error, set())

    def _walk(self, error: BaseException | None, seen: set[int]) -> None:
        if error is None or id(error) in seen:
            return
        seen.add(id(error))
        self.errors += 1
        self.hear(error, *error.args, *error.__dict__.values())
        for other in (error.__cause__, error.__context__):
            self._walk(other, seen)

    def emit(self, record: logging.LogRecord) -> None:
        """Be the handler of all loggers."""
        self._said.append(f"{record.name} {record.getMessage()} {record.args!r}")
        if record.exc_info and record.exc_info[1] is not None:
            self.hear_error(record.exc_info[1])

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear every logger at DEBUG, and asyncio's debug mode, which tells of each callback that it runs."""
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

    # What came of it -------------------------------------------------------------------------------------------------

    @property
    def figures(self) -> dict[str, int]:
        """How much was looked at, for what."""
        return {
            "secrets": len(self._secrets),
            "errors": self.errors,
            "texts": len(self._said),
            "secrets_shown": 0,
        }

    def sings(self, *more: str) -> set[str]:
        """Return which kinds of secrets were said, with some of what was said around each."""
        said = "\n".join((*self._said, *more))
        return {
            f"{kind} in …{said[max(0, at - 60) : at]}"
            for secret, kind in self._secrets.items()
            if (at := said.find(secret)) >= 0
        }

    # Where it sits ---------------------------------------------------------------------------------------------------

    def sending(self, send: Send) -> Send:
        """Wrap a send."""

        async def heard(request: wire.Request) -> wire.Reply:
            self.learn_exchange(request, None)
            self.hear(request)
            reply = await send(request)
            self.learn_exchange(request, reply)
            self.hear(reply)
            return reply

        return heard


class CanaryStore(IdentityStore):
    """A store that a canary sits in; `failure` is raised by all verbs, where it is set."""

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
            self._canary.learn_record(record)
        self._canary.hear(*records)

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
