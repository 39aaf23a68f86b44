"""Errors of the SDK. The type says what happened; `field` names what was at fault.

RekamError
  Refused              the request or record breaks a rule; sending it again changes nothing
    Invalid            a field breaks its rule (also a ValueError)
    NotFound           what was named does not exist (also a LookupError)
    AlreadyExists      what would be created is there already
    FailedPrecondition it is there, but not in a state that allows this
    Stale              it is not what the request expects, any more: look again, then decide again
    Forbidden          it is protected, and the actor has none of the roles
    Unsupported        this server does not serve the request
    RefusedRecords     logged records that the server refused
  Unavailable          the server cannot be reached, or did not answer in time
    DeliveryTimeout    what was logged is not acknowledged yet (also a TimeoutError)
  ChangesMissed        a consumer of the registry's changes was too slow, or the log was begun anew
  SpoolError           the spool on disk cannot take or give records
    SpoolFull          a bound was reached and the SDK is configured to raise
  ArtifactError        bytes of a file are not what they should be
  MissingPackage       what the user asks for needs a package that is not installed (also an ImportError)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class RekamError(Exception):
    """Root of the tree.

    message: for people: what was wrong, the rule, what to do.
    field: path of the field at fault ("metrics['loss']", "params[0].key"), if it is one's.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field and field not in message else message)
        self.message = message
        self.field = field


class Refused(RekamError):
    """The request breaks a rule; sending it again changes nothing."""


class Invalid(Refused, ValueError):
    """A field breaks its rule."""


class NotFound(Refused, LookupError):
    """What the request names does not exist."""


class AlreadyExists(Refused):
    """What the request would create is there already."""


class FailedPrecondition(Refused):
    """The thing is there but not in a state that allows this."""


class Stale(Refused):
    """What the request expects to be there is not, any more: look again, then decide again."""


class Forbidden(Refused):
    """It is protected, and the actor has none of the roles that may do this."""


class Unsupported(Refused):
    """This server does not serve the request."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One record that the server refused and did not store.

    code: gRPC status name, for example "INVALID_ARGUMENT".
    record: what it was ("log_params", "frame", ...); run_id: of which run, when known.
    """

    code: str
    field: str
    message: str
    record: str
    run_id: str = ""

    def __str__(self) -> str:
        return f"{self.record} of run {self.run_id or '?'}: {self.field or self.code}: {self.message}"


class RefusedRecords(Refused):
    """Logged records that the server refused; raised by flush() and end_run().

    refusals: the first of them (a bounded number); total: how many there were.
    """

    def __init__(self, refusals: Sequence[Refusal], total: int) -> None:
        first = "; ".join(str(refusal) for refusal in refusals[:3])
        super().__init__(f"the server refused {total} record(s): {first}", field=refusals[0].field)
        self.refusals = tuple(refusals)
        self.total = total


class Unavailable(RekamError):
    """The server cannot be reached, or did not answer in time. Nothing says it never will."""


class DeliveryTimeout(Unavailable, TimeoutError):
    """What was logged is not acknowledged yet; it stays in the spool and is delivered later."""


class ChangesMissed(RekamError):
    """Changes of the registry that a consumer will not be told; what is there now, the view has."""


class SpoolError(RekamError):
    """The spool on disk cannot take or give records."""


class SpoolFull(SpoolError):
    """The buffer or the spool reached its bound and REKAM_ON_FULL is "raise"."""


class ArtifactError(RekamError):
    """A file changed while it was read, or its bytes came damaged. Nothing of it was kept."""


class MissingPackage(RekamError, ImportError):
    """What is asked for needs a package that is not installed."""
