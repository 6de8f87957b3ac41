"""The messages as msgspec structs, private to `wire`: its functions return attrs values with masked secrets."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from ..errors import InvalidInputError
from ..hearing.results import FREQUENCIES, Audiogram, HearingTestResult
from ..identity import Sex
from ..secret import AnonymousId, Secret

Level = Annotated[float, Meta(ge=-10, le=120, description="A threshold in dB HL")]
TestTime = Annotated[
    dt.datetime,
    Meta(tz=True, description="At most a day ahead of the server's clock; tests are not ordered by it"),
]
Moment = Annotated[dt.datetime, Meta(tz=True)]
UserId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]  # `$` alone lets a line feed follow
Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~+/-]+=*(?!\n)$", max_length=1024, description="RFC 6750, b64token")]
Year = Annotated[int, Meta(description="18 years ago or earlier, not before 1900")]


class Points(Struct, frozen=True, kw_only=True):
    """An audiogram of one ear: thresholds in dB HL by frequency in Hz."""

    hz_250: Level = field(name="250")
    hz_500: Level = field(name="500")
    hz_1000: Level = field(name="1000")
    hz_2000: Level = field(name="2000")
    hz_4000: Level = field(name="4000")
    hz_8000: Level = field(name="8000")


class NewPoints(Points, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An audiogram of one ear, as a client sends it."""


class HearingTest(Struct, frozen=True, kw_only=True):
    """A hearing test."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    taken_at: Moment
    calibrated: bool
    left: Points
    right: Points


class SubmittedTest(HearingTest, frozen=True, kw_only=True):
    """A submitted hearing test, and whether the server received it last."""

    is_latest: bool


class ExportedTest(HearingTest, frozen=True, kw_only=True):
    """A hearing test, and when the server received it, which defines the order of tests."""

    received_at: Moment


class NewHearingTest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hearing test, as a client submits it."""

    taken_at: TestTime
    calibrated: bool
    left: NewPoints
    right: NewPoints


class User(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user: a closed set of fields, so that no field can identify a person."""

    id: UserId
    is_anonymous: bool
    year_of_birth: int | None
    sex: Sex | None
    latest_hearing_test: HearingTest | None


class SessionMessage(Struct, frozen=True, kw_only=True):
    """A user and an access token for it."""

    user: User
    access_token: Token
    expires_in: Annotated[float, Meta(gt=0, description="seconds")]

    def __repr__(self) -> str:
        """Mask the token: a traceback may show the locals of a frame."""
        return f"{type(self).__name__}(…)"


class Creation(SessionMessage, frozen=True, kw_only=True):
    """A session of a new user, with its anonymousId."""

    anonymous_id: AnonymousId


class HearingTestPage(Struct, frozen=True, kw_only=True):
    """Hearing tests, the last received first, and the cursor of the next page."""

    tests: list[HearingTest]
    next_cursor: str | None = None


class ExportMessage(Struct, frozen=True, kw_only=True):
    """Everything the server holds about one user."""

    user: User
    created_at: Moment
    hearing_tests: list[ExportedTest]


class Status(Struct, frozen=True, kw_only=True):
    """The health of the server."""

    status: str


class NewUser(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a creation: no field can describe the user."""


class LogIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a log-in."""

    anonymous_id: AnonymousId


class UserPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a user: an absent field is kept, null clears it."""

    year_of_birth: Year | UnsetType | None = UNSET
    sex: Sex | UnsetType | None = UNSET


class Problem(Struct, frozen=True, kw_only=True):
    """A problem (RFC 9457)."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    request_id: str | None = None


def _read_secret(kind: type, value: object) -> object:
    if kind is AnonymousId:
        return AnonymousId(value)  # type: ignore[arg-type] # raises InvalidAnonymousIdError for other values
    raise NotImplementedError


def _write_secret(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


encode: Callable[[object], bytes] = msgspec.json.Encoder(enc_hook=_write_secret).encode
"""Returns a message as JSON."""

_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError, msgspec.MsgspecError)


def encode_input(message: Struct) -> bytes:
    """Return a message with values of the host as JSON.

    Raises:
        InvalidInputError: A value cannot be encoded. The error names its field and does not quote it.
    """
    try:
        return encode(message)
    except _UNENCODABLE:
        path = _find_unencodable(message)
    msg = f"{path} holds a value that JSON can't represent; nothing was sent: give a plain text, number or datetime"
    raise InvalidInputError(msg)


def _find_unencodable(message: Struct) -> str:
    """Return the path of the first field that cannot be encoded."""
    for name, field_name in zip(message.__struct_fields__, message.__struct_encode_fields__, strict=True):
        value = getattr(message, name)
        try:
            encode(None if value is UNSET else value)
        except _UNENCODABLE:
            return f"{field_name}.{_find_unencodable(value)}" if isinstance(value, Struct) else field_name
    return "the request"


class DecodeError(Exception):
    """A body is not a valid message. The error holds no part of the body.

    Attributes:
        is_json: Whether the body is JSON.
        path: The JSON path of the invalid value, such as `$.left`; "" if it is not known.
    """

    def __init__(self, *, is_json: bool, path: str = "") -> None:
        super().__init__("the body cannot be decoded")
        self.is_json = is_json
        self.path = path


_PATH = re.compile(r" - at `(\$[\w.\[\]]*)`$", re.ASCII)
_Message = TypeVar("_Message")


class Decoder(Generic[_Message]):
    """Decode bodies into one type of message. Only this class handles the exceptions of msgspec.

    They quote the body in arguments or message, so `DecodeError` is raised after the except block: they are neither its
    cause nor its context.
    """

    def __init__(self, kind: type[_Message]) -> None:
        self._decode = msgspec.json.Decoder(kind, dec_hook=_read_secret).decode

    def __call__(self, body: bytes) -> _Message:
        """Return the message.

        Raises:
            DecodeError: The body is not JSON, or not such a message.
        """
        try:
            return self._decode(body)
        except msgspec.ValidationError as error:
            path = _PATH.search(str(error))
            failure = DecodeError(is_json=True, path=path[1] if path else "$")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            failure = DecodeError(is_json=False)
        raise failure


_decode_any: Decoder[object] = Decoder(Any)


def may_be_anonymous(body: bytes) -> bool:
    """Return False if the user in an undecodable body is not anonymous or has a field beyond the closed set.

    This distinguishes a reply that identifies a person from a broken reply, after `Decoder` has refused the body.
    """
    try:
        document = _decode_any(body)
    except DecodeError:
        return True
    user = document.get("user", document) if isinstance(document, dict) else None
    if not isinstance(user, dict):
        return True
    return user.get("is_anonymous") is True and user.keys() <= set(User.__struct_encode_fields__)


def build_result(message: HearingTest | NewHearingTest) -> HearingTestResult:
    """Return the hearing test as an attrs value; a new one has no id yet."""
    left, right = (
        Audiogram({frequency: getattr(ear, f"hz_{frequency}") for frequency in FREQUENCIES})
        for ear in (message.left, message.right)
    )
    test_id = message.id if isinstance(message, HearingTest) else None
    return HearingTestResult(
        id=test_id, taken_at=message.taken_at, calibrated=message.calibrated, left=left, right=right
    )


def build_test(result: HearingTestResult, points: type[Points]) -> dict[str, Any]:
    """Return the fields of a message of a hearing test, but for its id."""
    left, right = (points(**{f"hz_{hz}": level for hz, level in ear}) for ear in (result.left, result.right))
    return {"taken_at": result.taken_at, "calibrated": result.calibrated, "left": left, "right": right}
