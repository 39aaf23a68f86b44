"""Who changes the registry, and why: kept with every change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from rekam.calls.session import new_origin
from rekam.server import user_name
from rekam_proto.registry.v1 import read_pb2


class By(TypedDict, total=False):
    """What every change of the registry may be given.

    reason: why, up to 2,000 characters. actor: who, whoever runs this process if None. roles: what the
    actor may do where a model is protected.
    """

    reason: str | None
    actor: str | None
    roles: Sequence[str]


def by_message(by: By) -> read_pb2.By:
    """As a message. Sent again, when its answer was lost, the request is known as the same."""
    actor = by.get("actor")
    return read_pb2.By(
        actor=user_name() if actor is None else actor,
        reason=by.get("reason") or "",
        roles=by.get("roles", ()),
        origin=new_origin(),
    )
