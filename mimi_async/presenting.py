"""Views: validation, and admission through the gates."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from .auth.controller import AuthController
from .auth.registry import ControllerRegistry
from .errors import ConfigurationError
from .gate import Gate
from .host_functions import not_a_function, not_awaitable, validate_function
from .operations.operation import is_inside_operation
from .operations.supervisor import OperationSupervisor
from .updates.delivery import is_delivering

_P = ParamSpec("_P")
_T = TypeVar("_T")

View = Callable[[AuthController], Awaitable[_T]]
"""A view: any `async def view(auth)`. It runs only while the gate is open."""

ViewFunction = Callable[Concatenate[AuthController, _P], Awaitable[_T]]
"""A function that `MimiCore.view` decorates: its arguments are the controller, then those of the call."""

PresentedFunction = Callable[_P, Awaitable[_T]]
"""The decorated function."""

Present = Callable[..., Awaitable[_T]]
"""`MimiCore.present`."""

_SIGNATURE = "a view is an `async def view(auth)`, or a Profile(ProfileConfiguration(…))"


def validate_view(view: object) -> None:
    """Refuse an object that is not a view, as far as that is known before it is called.

    Raises:
        ConfigurationError: It is a class, a generator, or can't be called with a controller.
    """
    validate_function(view, _SIGNATURE, None)


def explain_type_error(view: object, outcome: object) -> ConfigurationError | None:
    """Return the error of a `present` that raised a TypeError; None if the view raised it itself.

    Called after the failure, since a check before each `present` would cost time.

    Args:
        view: The object that was presented.
        outcome: Its return value; `view` itself if it raised at once.
    """
    if isinstance(view, type) or not callable(view):
        return not_a_function(view, _SIGNATURE)
    if outcome is view or inspect.isawaitable(outcome):
        return None
    return not_awaitable(view, _SIGNATURE, outcome)


async def admit(
    front: Gate, supervisor: OperationSupervisor, controllers: ControllerRegistry, account: str
) -> AuthController:
    """Wait until a view of the account may run, after the start of the core and the restore; return its controller.

    Raises:
        ViewsClosedError: The gate is shut; `.__cause__` says why.
        ConfigurationError: The core belongs to another event loop.
    """
    supervisor.entry.home.check()
    is_reentrant = is_delivering() or is_inside_operation()  # then the start may be waiting for this very call
    if not (is_reentrant and supervisor.is_open):
        await front.wait_open()
    auth = controllers.get_or_create(account)
    await auth.admit()
    return auth


def present_calls(
    present: Present[_T], function: Callable[..., Awaitable[_T]], account: str | None
) -> Callable[..., Awaitable[_T]]:
    """Return a function of which each call presents `function`, with the controller and the arguments of the call.

    Raises:
        ConfigurationError: It is not a function, or it is a generator function.
    """
    if not callable(function) or isinstance(function, type):
        validate_view(function)

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> _T:
        def run(auth: AuthController) -> Awaitable[_T]:
            return function(auth, *args, **kwargs)

        run.__dict__["host_function"] = function  # messages name this function
        return await present(run, account=account)

    return call
