"""Channels to other processes of Rekam."""

from __future__ import annotations

import json
from typing import Any

import grpc.aio

from rekam_runtime.rpc import options

# gRPC makes no more of one call.
_ATTEMPTS = 5


def channel(target: str, patience_s: float | None = None, *, again: bool = False) -> grpc.aio.Channel:
    """A channel that connects when first used, and again, soon, whenever it is lost.

    target: `host:port`, `dns:///name:port` (all replicas in turn) or `unix:/path`.
    patience_s: deadline of calls that set none; until then they wait for a connection, too.
    again: patient calls that end UNAVAILABLE, as those of a server that was killed, are sent again, a few
        times: for requests that may arrive twice.
    """
    balancing = ("grpc.lb_policy_name", "round_robin")
    # No proxy of the environment stands between our own processes.
    direct = ("grpc.enable_http_proxy", 0)
    patient = () if patience_s is None else (("grpc.service_config", _patient(patience_s, again)),)
    # The first of an option counts.
    given = (("grpc.enable_retries", int(again)), *options.CLIENT)
    return grpc.aio.insecure_channel(target, options=(*given, balancing, direct, *patient))


def _patient(patience_s: float, again: bool) -> str:
    every_method: dict[str, Any] = {"name": [{}], "waitForReady": True, "timeout": f"{patience_s:.3f}s"}
    if again:
        every_method["retryPolicy"] = {
            "maxAttempts": _ATTEMPTS,
            "initialBackoff": "0.1s",
            "maxBackoff": "2s",
            "backoffMultiplier": 3,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
    return json.dumps({"methodConfig": [every_method]})
