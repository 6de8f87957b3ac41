"""The core: owns the transport, the store and the controllers of all accounts, and presents views."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from threading import get_ident
from typing import Any, Literal, ParamSpec, Self, TypeVar, overload

import aiohttp
import attrs
from blinker import Signal

from . import startup
from .auth.change_listener import ChangeListener
from .auth.context import ControllerContext
from .auth.controller import AuthController
from .auth.registry import ControllerRegistry
from .entry import Entry
from .errors import ConfigurationError, MimiError, NotStartedError, UnserviceableError, describe_exception
from .gate import Gate
from .identity import ClientCredentials, validate_account
from .operations.supervisor import OperationSupervisor
from .presenting import PresentedFunction, View, ViewFunction, admit, explain_type_error, present_calls, validate_view
from .records.session import Drop, KnownId, RecordSources, Send
from .secret import AnonymousId
from .stores.base import IdentityStore
from .timeouts import Timeouts, validate_timeouts
from .transport import Transport, read_proxy
from .updates.broadcaster import Subscription, UpdateBroadcaster
from .updates.delivery import Receiver, send_safely

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_P = ParamSpec("_P")


class MimiCore:
    """Gives each account of a partner one anonymous Mimi user, and lets views run once it is restored.

    `async with core:` opens the transport and the store, restores `core.auth` and opens its gate; leaving shuts all
    gates, waits for operations under way and closes both. A core belongs to one event loop and is entered once.

    Args:
        credentials: Of the product. None only with `send`.
        server: The address of the identity server: https, or http for loopback.
        store: Keeps the ids. The core enters and leaves it. A host that keeps the id itself gives `MemoryStore()`.
        account: The app's own account, restored at the start; None in a service, which has none.
        known_id: The partner's own account service, `async (account) -> AnonymousId | None`, asked whenever the store
            holds no id: on a second product, after a reinstall.
        session: A session of the host. Only its connector is used, and it is never closed here. A session with a
            proxy, middlewares or `trust_env=True` is refused, unless `proxy` is given.
        proxy: The HTTP proxy of all requests, `http://user:password@proxy.example:3128` or `https://…`. HTTPS_PROXY is
            not read: the host may give `os.environ.get("HTTPS_PROXY")`.
        send: `async (wire.Request) -> wire.Reply`, instead of `server`, `session` and `proxy`: for another backend.
        on_restore_failure: "raise": a start that can't restore fails with a `StartupError`, except after a verdict
            about the record, which leaves the gate shut. "retry": entering returns at once, and views wait until a
            restore has succeeded, or has ended with a verdict.
        user_max_age: Seconds for which the ready-made views show a user without asking the server whether it changed.
        max_idle_controllers: How many controllers without a reference stay restored.
        timeouts: The time limits: `Timeouts(call=5.0)`.

    Attributes:
        user_updated: Sent as `(controller, *, current, old, error)` for every account; blinker holds receivers weakly.
        observer_failed: Sent as `(controller, *, receiver, error)` when a receiver has raised, hung or blocked.
        unserviceable: Sent as `(core, *, error)` when the server no longer supports this version of the SDK.

    Raises:
        ConfigurationError: A setting can't work; the message says what to change.
    """

    def __init__(
        self,
        credentials: ClientCredentials | None = None,
        *,
        server: str | None = None,
        store: IdentityStore,
        account: str | None = "default",
        known_id: KnownId | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        send: Send | None = None,
        on_restore_failure: Literal["raise", "retry"] = "raise",
        user_max_age: float = 5.0,
        max_idle_controllers: int = 10_000,
        timeouts: Timeouts | None = None,
    ) -> None:
        parsed = read_proxy(proxy)
        has_two_ways = send is not None and (server, session, proxy) != (None, None, None)
        del proxy  # it may hold a password, and a traceback may show the locals of this frame
        self.account: str | None = account if account is None else validate_account(account)
        self.unserviceable: Signal = Signal()
        startup.check_settings(store, known_id, send, on_restore_failure, max_idle_controllers, has_two_ways)
        self._store = store
        self._entry = Entry(validate_timeouts(timeouts))
        self._transport: Transport | None = None
        if send is None:
            self._transport = Transport(server, credentials, session=session, proxy=parsed, timeouts=self.timeouts)
            send = self._transport.send
        self._supervisor = OperationSupervisor(self._entry)
        self._broadcaster: UpdateBroadcaster[Any] = UpdateBroadcaster(
            self._supervisor.spawn,
            self._entry,
            is_leaving=lambda: not self._supervisor.is_open,
            on_delivered=AuthController.note_delivery,
        )
        self.user_updated: Signal = self._broadcaster.user_updated
        self.observer_failed: Signal = self._broadcaster.observer_failed
        self._context = ControllerContext(
            sources=RecordSources(send, store, known_id),
            supervisor=self._supervisor,
            broadcaster=self._broadcaster,
            user_max_age=user_max_age,
            on_unserviceable=self._on_unserviceable,
        )
        self._default_controller = None if account is None else AuthController(account, self._context)
        self._context.retried = self._default_controller if on_restore_failure == "retry" else None
        has_feed = type(store).changes is not IdentityStore.changes  # the default yields none, and no index is kept
        self._controllers = ControllerRegistry(
            self._context, self._default_controller, max_idle_controllers, by_digest=has_feed
        )
        self._changes = ChangeListener(store, self._controllers, self._supervisor) if has_feed else None
        self._front = Gate(self._entry, is_front=True)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            StartupError: A phase (`.phase`) has failed, by its `.__cause__`; what was opened is closed again.
            ConfigurationError: It was entered before.
        """
        if self._entry.home.entries:
            msg = "a core can be entered once: make a new MimiCore to start again"
            raise ConfigurationError(msg)
        self._entry.enter()
        try:
            await startup.open_parts(self._stack, self._transport, self._store, self.timeouts)
            self._stack.callback(self._broadcaster.close)
            self._supervisor.open()
            self._stack.push_async_callback(self._supervisor.close)
            await startup.start_background(self._stack, self._context, self._default_controller, self._changes)
        except BaseException as error:
            self.timeouts = attrs.evolve(self.timeouts, shutdown=0.0)  # no caller waits, and every record survives
            cause = error if isinstance(error, MimiError) else NotStartedError("the start of the core was cancelled")
            await self._close(cause)
            raise
        self._front.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave. Failures are logged, not raised: the error of the body wins. Another event loop is refused."""
        self._entry.home.check()
        await self._close(NotStartedError("the core was left"))

    async def _close(self, cause: MimiError) -> None:
        self._supervisor.is_open = False
        self._front.shut(cause)
        self._controllers.shut_gates(cause)
        try:
            await self._stack.aclose()
        except Exception as error:  # noqa: BLE001 - it must not hide the error of the body
            _log.error("leaving the core: a part did not close: %s", describe_exception(error))
        finally:
            self._broadcaster.close()

    def _on_unserviceable(self, error: UnserviceableError) -> None:
        self._controllers.shut_gates(error)
        asyncio.get_running_loop().call_soon(partial(send_safely, self.unserviceable, self, error=error))

    @property
    def timeouts(self) -> Timeouts:
        """The time limits. A new value counts for later calls and deliveries and for leaving, not for requests."""
        return self._entry.timeouts

    @timeouts.setter
    def timeouts(self, timeouts: Timeouts) -> None:
        self._entry.timeouts = validate_timeouts(timeouts)

    @property
    def auth(self) -> AuthController:
        """The controller of the app's own account; a `ConfigurationError` with `account=None`."""
        if self._default_controller is None:
            msg = "this core has no account of its own (account=None): use `await core.auth_for(account)`"
            raise ConfigurationError(msg)
        return self._default_controller

    async def auth_for(self, account: str) -> AuthController:
        """Return the restored controller of an account of the partner.

        Restores on first use, once for all concurrent callers. An account never has two controllers at a time.

        Raises:
            InvalidInputError: The account is not a text of 1 to 200 characters.
            MimiError: The restore has failed.
        """
        self._supervisor.check_open()
        auth = self._controllers.get_or_create(validate_account(account))
        await auth.restore()
        return auth

    async def start_over(self, account: str | None = None, *, drop: Drop | None = None) -> AnonymousId | None:
        """Discard the record of an account that is rejected or can't be read: `AuthController.start_over`.

        Args:
            account: None means the app's own.
            drop: The host's own clean-up, `async (anonymous_id)`, called before the record is removed.

        Returns:
            The discarded id, where it could be read.

        Raises:
            ConfigurationError: The record is neither rejected nor damaged: nothing was discarded.
            InvalidInputError: The account is not a text of 1 to 200 characters.
        """
        self._supervisor.check_open()
        auth = self.auth if account is None else self._controllers.get_or_create(validate_account(account))
        return await auth.start_over(drop=drop)

    def observe(self, receiver: Receiver) -> Subscription:
        """Call an observer with the updates of every account, until the subscription is closed.

        As `AuthController.observe`; may be called before the start. A slow observer makes each call longer.

        Raises:
            ConfigurationError: The observer has another signature, or this is another event loop.
        """
        self._entry.home.check()
        return self._broadcaster.observe_all(receiver)

    async def present(self, view: View[_T], *, account: str | None = None) -> _T:
        """Run a view once its account is restored, and return what it returns.

        Waits for the start of the core, `Timeouts.call` seconds at most, and for a restore in flight; after one that
        failed retryably, makes one new attempt for all waiters. Leaving the core neither cancels nor awaits the view.

        Args:
            view: Any `async def view(auth)`, or a `Profile`, …
            account: None means the app's own.

        Raises:
            ViewsClosedError: The gate is shut, or the core was not entered in time; `.__cause__` says why.
            ConfigurationError: The core belongs to another event loop, it is not a view, there is no account of the
                app's own, or it is called from within its own restore.
            InvalidInputError: The account is not a text of 1 to 200 characters.
        """
        auth = self._default_controller if account is None else self._controllers.get(account)
        home = self._entry.home
        if auth is None or not auth.gate.is_open or get_ident() != home.thread or not home.is_running():
            validate_view(view)
            name = self.auth.account if account is None else validate_account(account)
            auth = await admit(self._front, self._supervisor, self._controllers, name)
        outcome: Any = view
        try:
            outcome = view(auth)
            return await outcome  # type: ignore[no-any-return]  # what the view returns
        except TypeError:
            refusal = explain_type_error(view, outcome)
            if refusal is None:
                raise
        raise refusal

    @overload
    def view(self, function: ViewFunction[_P, _T], /) -> PresentedFunction[_P, _T]: ...

    @overload
    def view(self, /, *, account: str | None = None) -> Callable[[ViewFunction[_P, _T]], PresentedFunction[_P, _T]]: ...

    def view(self, function: Callable[..., Awaitable[Any]] | None = None, /, *, account: str | None = None) -> Any:
        """Make a view of a coroutine function, `@core.view` or `@core.view(account=…)`: each call is presented.

        The function gets the controller first, then the arguments of the call. `present` says what it raises.
        """
        decorate = partial(present_calls, self.present, account=account)
        return decorate if function is None else decorate(function)
