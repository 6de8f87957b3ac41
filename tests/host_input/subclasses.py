"""Subclasses of built-in types, whose methods return something else than the value of the instance."""

import datetime as dt
import enum
from typing import Any


def returning(value: object) -> Any:
    """Return a method that returns the value, whatever its arguments."""
    return lambda *_, **__: value


def class_of(value: object) -> str:
    return type(value).__name__


def is_exact(value: object, kind: type) -> bool:
    return type(value) is kind


class TextSubclass(str):
    """Like quoted_name of SQLAlchemy, `markupsafe.Markup` and string enums: a `str` with methods of its own."""

    __slots__ = ()
    __str__ = __repr__ = __format__ = lower = strip = casefold = returning("another text")
    isprintable = isascii = startswith = __contains__ = __eq__ = returning(True)
    __ne__ = returning(False)
    __len__ = returning(36)
    __hash__ = returning(hash("anna"))
    encode = returning(b"other bytes")


class BytesSubclass(bytes):
    __bytes__ = returning(b"other bytes")
    __len__ = returning(16)
    __eq__ = returning(True)
    __hash__ = returning(1)


class IntegerSubclass(int):
    __int__ = __index__ = returning(1985)
    __str__ = __repr__ = __format__ = returning("1985")
    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = returning(True)
    __hash__ = returning(250)


class FloatSubclass(float):
    """Like `numpy.float64`: a `float` with methods of its own."""

    __float__ = returning(1.0)
    __str__ = __repr__ = __format__ = returning("1.0")
    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = returning(True)
    __hash__ = returning(250)


class DatetimeSubclass(dt.datetime):
    """Like `pandas.Timestamp`, `pendulum.DateTime` and `FakeDatetime` of freezegun."""

    utcoffset = returning(dt.timedelta(hours=5))
    isoformat = returning("another time")
    timestamp = returning(0.0)

    def astimezone(self, tz: Any = None) -> "DatetimeSubclass":
        return self


class DateSubclass(dt.date):
    """A date without a time is not a datetime."""


class Year(enum.IntEnum):
    BORN = 1980


class Sex(enum.StrEnum):
    FEMALE = "female"


class Account(enum.StrEnum):
    ANNA = "anna"


class Impostor:
    """Not an instance of its `__class__`, though `isinstance` is true, as for doubles of `unittest.mock`."""

    __len__ = returning(5)
    __eq__ = returning(True)
    __hash__ = returning(hash("female"))

    def __init__(self, kind: type) -> None:
        self._kind = kind

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self._kind
