"""The core: it owns whatever must be closed, the controllers of all accounts, and the door to the views."""

import functools
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar, overload

import aiohttp
from blinker import Signal

from . import startup
from .auth.actor import Shared
from .auth.changes import Changes
from .auth.controller import AuthController
from .auth.controllers import Controllers
from .auth.delivery import Receiver, is_delivering, tell_each
from .auth.records import KnownId, Records, Send
from .auth.signals import Announcer, Subscription
from .auth.turn import is_inside_turn
from .auth.turns import Turns
from .errors import ConfigurationError, InvalidInputError, MimiError, NotStartedError, UnserviceableError, described
from .gate import Gate
from .identity import AnonymousId, ClientCredentials, checked_account
from .stores.base import IdentityStore
from .transport import Transport

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_P = ParamSpec("_P")

View = Callable[[AuthController], Awaitable[_T]]
"""What is shown to a person: any `async def view(auth)`. It runs only behind the gate."""


class MimiCore:
    """Gives each account of a partner one anonymous Mimi user, and lets views run once it is restored.

    `async with core:` opens the transport and the store, restores `core.auth` and opens its gate; leaving shuts all
    gates, waits for what is under way and closes the store and the transport. It belongs to one event loop and has one
    life. Nothing is opened by the constructor.

    Args:
        credentials: Of the product. None only with `send`.
        server: The address of the identity server: https, or http for loopback.
        store: Where ids are kept. The core enters and leaves it. A host that keeps the id itself, as in the guide, says
            `MemoryStore()`.
        account: The app's own account, restored at the start; None in a service: nothing is restored then.
        known_id: The partner's own account service, `async (account) -> AnonymousId | None`, asked whenever the store
            holds no id: on a second product, after a reinstall.
        session: A session of the host's, of which only the connector is used; it is never closed here.
        send: `async (wire.Request) -> wire.Reply`, instead of `server` and `session`: the way to another backend.
        on_restore_failure: "raise": a start that can't restore fails with a `StartupError`, save after a verdict about
            the record, which leaves the gate shut. "keep_trying": entering returns at once, and views wait until a
            restore has ended well, or with a verdict.
        keep: How many controllers that nobody holds stay restored.

    Attributes:
        unserviceable: Told `(core, *, error)` when the server no longer supports this version of the SDK.

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
        send: Send | None = None,
        on_restore_failure: Literal["raise", "keep_trying"] = "raise",
        keep: int = 10_000,
    ) -> None:
        self.account: str | None = account if account is None else checked_account(account)
        self.unserviceable: Signal = Signal()
        startup.check_settings(store, known_id, send, on_restore_failure, keep)
        self._store = store
        self._transport = _transport(credentials, server, session) if send is None else None
        if send is not None and (server is not None or session is not None):
            msg = "give either send, or server and session: send replaces both"
            raise ConfigurationError(msg)
        self._turns = Turns()
        self._announcer: Announcer[Any] = Announcer(self._turns.own, is_leaving=lambda: not self._turns.is_open)
        self._shared = Shared(
            records=Records(self._transport.send if self._transport else send, store, known_id),  # type: ignore[arg-type]  # one of the two is there
            turns=self._turns,
            announcer=self._announcer,
            on_unserviceable=self._close_for_good,
        )
        self._own = None if account is None else AuthController(account, self._shared)
        if self._own is not None:
            self._own.keeps_trying = on_restore_failure == "keep_trying"
        tells = type(store).changes is not IdentityStore.changes  # the default never has news: nothing is kept for them
        self._controllers = Controllers(self._shared, self._own, keep, by_digest=tells)
        self._changes = Changes(store, self._controllers, self._turns) if tells else None
        self._front = Gate()
        self._is_used = False
        self._stack = AsyncExitStack()

    # The life of the core --------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            StartupError: A phase has failed; what was opened is closed again. `.phase` and `.__cause__` say more.
            ConfigurationError: It was entered before.
        """
        if self._is_used:
            msg = "a core has one life: make a new MimiCore to start again"
            raise ConfigurationError(msg)
        self._is_used = True
        try:
            await self._start()
        except BaseException as error:
            cut_off = NotStartedError("the start of the core was cut off")
            self._turns.grace = 0.0  # nobody waits for what is under way, and every record survives its end
            await self._close(error if isinstance(error, MimiError) else cut_off)
            raise
        self._front.open()
        return self

    async def _start(self) -> None:
        await startup.open_parts(self._stack, self._transport, self._store)
        self._stack.callback(self._announcer.close)
        self._turns.open()
        self._stack.push_async_callback(self._turns.close)
        await startup.begin(self._stack, self._shared, self._own, self._changes)

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave. What fails is logged, not raised: the error of the body wins."""
        await self._close(NotStartedError("the core was left"))

    async def _close(self, cause: MimiError) -> None:
        self._shut_all(cause)
        try:
            await self._stack.aclose()
        except Exception as error:  # noqa: BLE001 - closing must neither hide the error that led to it nor fail where all is kept
            _log.error("something did not close with the core: %s", described(error))
        finally:
            self._announcer.close()

    def _shut_all(self, cause: MimiError) -> None:
        self._turns.is_open = False
        self._front.shut(cause)
        self._shut_gates(cause)

    def _shut_gates(self, cause: MimiError) -> None:
        for auth in self._controllers:
            auth.gate.shut(cause)

    def _close_for_good(self, error: UnserviceableError) -> None:
        self._shut_gates(error)
        self._turns.own(self._tell_unserviceable(error))

    async def _tell_unserviceable(self, error: UnserviceableError) -> None:
        tell_each(self.unserviceable, self, error=error)

    # Accounts --------------------------------------------------------------------------------------------------------

    @property
    def auth(self) -> AuthController:
        """The controller of the app's own account.

        Raises:
            ConfigurationError: This core has none: `account=None`.
        """
        if self._own is None:
            msg = "this core has no account of its own (account=None): use `await core.auth_for(account)`"
            raise ConfigurationError(msg)
        return self._own

    async def auth_for(self, account: str) -> AuthController:
        """Return the restored controller of an account of the partner.

        Restores on first use, once for all who ask at the same time. There is never more than one controller for an
        account while somebody holds it.

        Raises:
            InvalidInputError: The account is no text of 1 to 200 characters.
            MimiError: Why the restore has failed.
        """
        auth = self._controllers.of(checked_account(account))
        await auth.restore()
        return auth

    async def start_over(self, account: str | None = None) -> AnonymousId | None:
        """Set down the record of an account that is rejected or can't be read: `AuthController.start_over`.

        For accounts whose gate is shut, of which `auth_for` gives no controller.

        Args:
            account: Whose; None means the app's own.

        Returns:
            The id that was set down, where it could be read.

        Raises:
            ConfigurationError: The record is neither rejected nor damaged: nothing was set down.
            InvalidInputError: The account is no text of 1 to 200 characters.
        """
        auth = self.auth if account is None else self._controllers.of(checked_account(account))
        return await auth.start_over()

    # Telling ---------------------------------------------------------------------------------------------------------

    @property
    def user_updated(self) -> Signal:
        """Told `(controller, *, current, old, error)` for every account; receivers are held weakly, as blinker does."""
        return self._announcer.user_updated

    @property
    def observer_failed(self) -> Signal:
        """Told `(controller, *, receiver, error)` when a receiver has raised, hung or blocked."""
        return self._announcer.observer_failed

    def observe(self, receiver: Receiver) -> Subscription:
        """Tell a receiver the updates of every account, until the subscription is closed.

        As `AuthController.observe`; may be called before the start, so that nothing is missed.
        """
        return self._announcer.observe_all(receiver)

    # Views -----------------------------------------------------------------------------------------------------------

    async def present(self, view: View[_T], *, account: str | None = None) -> _T:
        """Run a view once its account is restored, and return what it returns.

        Waits for the start of the core and for a restore in flight. After a restore that failed retryably, makes one
        fresh try, shared by all who wait. Neither cancels the view when the core is left, nor awaits it.

        Args:
            view: Any `async def view(auth)`, or a `Profile`, …
            account: Whose; None means the app's own.

        Raises:
            ViewsClosedError: The gate is shut; `.__cause__` says why.
            ConfigurationError: There is no account of the app's own, or it is called from within its own restore.
            InvalidInputError: It is no view, or the account is no text of 1 to 200 characters.
        """
        if not callable(view):
            msg = f"a view is an `async def view(auth)`, or a Profile(…), not a {type(view).__name__}"
            raise InvalidInputError(msg)
        auth = self._own if account is None else self._controllers.recent(account)
        if auth is None or not auth.gate.is_open:
            auth = await self._admitted(account)
        return await view(auth)

    async def _admitted(self, account: str | None) -> AuthController:
        name = self.auth.account if account is None else checked_account(account)
        is_called_back = is_delivering() or is_inside_turn()  # then the start may be waiting for this very call
        if not (is_called_back and self._turns.is_open):
            await self._front.passed()
        auth = self._controllers.of(name)
        await auth.admit()
        return auth

    @overload
    def view(
        self, function: Callable[Concatenate[AuthController, _P], Awaitable[_T]], /
    ) -> Callable[_P, Awaitable[_T]]: ...

    @overload
    def view(
        self, /, *, account: str | None = None
    ) -> Callable[[Callable[Concatenate[AuthController, _P], Awaitable[_T]]], Callable[_P, Awaitable[_T]]]: ...

    def view(self, function: Callable[..., Awaitable[Any]] | None = None, /, *, account: str | None = None) -> Any:
        """Make a view of a coroutine function, `@core.view` or `@core.view(account=…)`: each call is presented.

        The function gets the controller first, then the arguments of the call. `present` says what it raises.
        """

        def decorate(function: Callable[..., Awaitable[_T]]) -> Callable[..., Awaitable[_T]]:
            @functools.wraps(function)
            async def presented(*args: Any, **kwargs: Any) -> _T:
                return await self.present(lambda auth: function(auth, *args, **kwargs), account=account)

            return presented

        return decorate if function is None else decorate(function)


def _transport(
    credentials: ClientCredentials | None, server: str | None, session: aiohttp.ClientSession | None
) -> Transport:
    if server is None or not isinstance(credentials, ClientCredentials):
        msg = "name the identity server and the client credentials: MimiCore(ClientCredentials(…), server='https://…')"
        raise ConfigurationError(msg)
    if session is not None and not isinstance(session, aiohttp.ClientSession):
        msg = f"session is an aiohttp.ClientSession of yours, or None, not a {type(session).__name__}"
        raise ConfigurationError(msg)
    return Transport(server, credentials, session=session)
