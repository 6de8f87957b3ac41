"""Convert a value of the host to the built-in type that it holds.

An instance of a subclass passes `isinstance`, but its methods may return anything, and a codec that expects the
built-in type refuses it or encodes another value. These functions read the built-in part and call no method of the
subclass.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

_T = TypeVar("_T")
_EXACT = (str, bytes, float, type(None))


def as_str(value: object) -> str | None:
    """Return the text as a `str`, or None if it is not a text."""
    return _convert(str.__str__, value)


def as_int(value: object) -> int | None:
    """Return the integer as an `int`, or None if it is not an integer. A bool is not an integer here."""
    return None if type(value) is bool else _convert(int.__int__, value)


def as_number(value: object) -> float | None:
    """Return the number as a `float`, or None if it is neither a `float` nor an integer that fits into one."""
    number = _convert(float.__float__, value)
    integer = as_int(value) if number is None else None
    try:
        return number if integer is None else float(integer)
    except OverflowError:
        return None


def as_builtin(value: _T) -> _T:
    """Return the `str`, `bytes` or `float` of an instance of a subclass, and any other value as it is."""
    if type(value) in _EXACT:
        return value
    converted = (_convert(method, value) for method in (str.__str__, bytes.__bytes__, float.__float__))
    return cast("_T", next((each for each in converted if each is not None), value))


def _convert(method: Callable[[Any], _T], value: object) -> _T | None:
    """Call a method of a built-in type; it takes instances of the type and of its subclasses only."""
    try:
        return method(value)
    except TypeError:
        return None
