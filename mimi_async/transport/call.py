"""What the attempts of one call share."""

import attrs

from .. import wire
from ..errors import ServerTimeoutError


@attrs.define(eq=False)
class Call:
    """One call of `Transport.send`.

    Attributes:
        request: What is asked.
        request_id: The X-Request-ID of all its attempts.
        deadline: The loop time by which it ends.
        sent: Whether a byte of the newest attempt may have reached the server.
    """

    request: wire.Request
    request_id: str
    deadline: float
    sent: bool = True

    def late(self) -> ServerTimeoutError:
        """Return the error for a deadline that came before anything was sent."""
        msg = "the call's deadline came before its request could be sent: try again later"
        return ServerTimeoutError(msg, request_id=self.request_id)
