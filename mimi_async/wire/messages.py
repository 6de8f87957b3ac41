"""The messages as msgspec structs, private to this room: what leaves it are attrs values, whose secrets are masked."""

import datetime as dt
import re
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from ..hearing.results import FREQUENCIES, Audiogram, HearingTestResult
from ..identity import AnonymousId, Secret, Sex

Level = Annotated[float, Meta(ge=-10, le=120, description="A threshold in dB HL")]
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


class NewHearingTest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hearing test, as a client submits it."""

    taken_at: Moment
    calibrated: bool
    left: NewPoints
    right: NewPoints


class User(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user: a closed set of fields, so that nothing can name a person unnoticed."""

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
        """Show no token: tracebacks may show what a frame holds."""
        return f"{type(self).__name__}(…)"


class Creation(SessionMessage, frozen=True, kw_only=True):
    """A session of a new user, with the id to keep."""

    anonymous_id: AnonymousId


class HearingTestPage(Struct, frozen=True, kw_only=True):
    """Hearing tests, newest first, and where the next page starts."""

    tests: list[HearingTest]
    next_cursor: str | None = None


class ExportMessage(Struct, frozen=True, kw_only=True):
    """Everything the server holds about one user."""

    user: User
    created_at: Moment
    hearing_tests: list[HearingTest]


class Status(Struct, frozen=True, kw_only=True):
    """How the server is."""

    status: str


class NewUser(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a creation: nothing can be said about who it is."""


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
        return AnonymousId(value)  # type: ignore[arg-type] # whatever is no id is an InvalidAnonymousIdError
    raise NotImplementedError


def _write_secret(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


_encode = msgspec.json.Encoder(enc_hook=_write_secret).encode


def encode(message: Struct) -> bytes:
    """Return the message as JSON."""
    return _encode(message)


class UnreadableError(Exception):
    """A body is not the message it should be. Holds no part of the body.

    Attributes:
        is_json: Whether it was JSON at all.
        place: Where the flaw is, as a JSON path such as `$.left`; "" where it is not known.
    """

    def __init__(self, *, is_json: bool, place: str = "") -> None:
        super().__init__("unreadable")
        self.is_json = is_json
        self.place = place


_PLACE = re.compile(r" - at `(\$[\w.\[\]]*)`$", re.ASCII)
_Message = TypeVar("_Message")


class Reader(Generic[_Message]):
    """Decodes one kind of message. The one place that meets what msgspec raises.

    Its exceptions quote the body, in arguments or message: ours is raised after the except block, so that they
    are neither its cause nor its context.
    """

    def __init__(self, kind: type[_Message]) -> None:
        self._decode = msgspec.json.Decoder(kind, dec_hook=_read_secret).decode

    def __call__(self, body: bytes) -> _Message:
        """Return the message.

        Raises:
            UnreadableError: The body is no JSON, or not of this kind.
        """
        try:
            return self._decode(body)
        except msgspec.ValidationError as error:
            place = _PLACE.search(str(error))
            flaw = UnreadableError(is_json=True, place=place[1] if place else "$")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            flaw = UnreadableError(is_json=False)
        raise flaw


_read_anything: Reader[object] = Reader(Any)


def names_nobody(body: bytes) -> bool:
    """Tell whether the user in a body that could not be read is anonymous and has no field beyond the closed set.

    Asked after `Reader` has refused a body, to tell a reply that names a person from one that is merely broken.
    """
    try:
        document = _read_anything(body)
    except UnreadableError:
        return True
    user = document.get("user", document) if isinstance(document, dict) else None
    if not isinstance(user, dict):
        return True
    return user.get("is_anonymous") is True and user.keys() <= set(User.__struct_encode_fields__)


def audiogram_of(points: Points) -> Audiogram:
    """Return the audiogram of one ear."""
    return Audiogram({frequency: getattr(points, f"hz_{frequency}") for frequency in FREQUENCIES})


def result_of(message: HearingTest) -> HearingTestResult:
    """Return the hearing test as a value."""
    return HearingTestResult(
        id=message.id,
        taken_at=message.taken_at,
        calibrated=message.calibrated,
        left=audiogram_of(message.left),
        right=audiogram_of(message.right),
    )


def points_of(audiogram: Audiogram) -> dict[str, float]:
    """Return the fields of `Points` or `NewPoints`."""
    return {f"hz_{frequency}": level for frequency, level in audiogram}
