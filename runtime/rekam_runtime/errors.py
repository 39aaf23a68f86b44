"""Errors whose type says what to do with them.

Refused     the request breaks a rule: tell the caller, never retry as is
Retry       nothing was decided: the same request may be sent again
SlowDown    a bound was reached: send again, later
Quarantine  a stored event cannot be applied: set it aside and go on

`rekam_runtime.rpc.status` maps them to gRPC status codes.
"""

from __future__ import annotations


class RekamError(Exception):
    """Root of the tree.

    message: for people: what was wrong, the rule, what to do.
    field: path of the request's field at fault ("params[0].key"), if it is one's.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Refused(RekamError):
    """The request breaks a rule; sending it again changes nothing."""


class Invalid(Refused):
    """A field breaks its rule."""


class NotFound(Refused):
    """What the request names does not exist."""


class AlreadyExists(Refused):
    """What the request would create is there already."""


class FailedPrecondition(Refused):
    """The thing is there but not in a state that allows this."""


class Forbidden(Refused):
    """The actor may not do this."""


class Unsupported(Refused):
    """This deployment does not serve the request."""


class Retry(RekamError):
    """A part cannot be reached, or a race was lost too often; nothing was decided."""


class DeadlineExceeded(Retry):
    """The answer was not ready in time."""


class SlowDown(Retry):
    """A bound was reached; send again, later."""


class Quarantine(RekamError):
    """A stored event cannot be applied, now or later."""
