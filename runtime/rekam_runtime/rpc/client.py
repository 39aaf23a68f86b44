"""Channels to other processes of Rekam."""

from __future__ import annotations

import json

import grpc.aio

from rekam_runtime.rpc import options


def channel(target: str, patience_s: float | None = None) -> grpc.aio.Channel:
    """A channel that connects when first used, and again, soon, whenever it is lost.

    target: `host:port`, `dns:///name:port` (all replicas in turn) or `unix:/path`.
    patience_s: deadline of calls that set none; until then they wait for a connection, too.
    """
    balancing = ("grpc.lb_policy_name", "round_robin")
    # No proxy of the environment stands between our own processes.
    direct = ("grpc.enable_http_proxy", 0)
    patient = () if patience_s is None else (("grpc.service_config", _patient(patience_s)),)
    return grpc.aio.insecure_channel(target, options=(*options.CLIENT, balancing, direct, *patient))


def _patient(patience_s: float) -> str:
    every_method = {"name": [{}], "waitForReady": True, "timeout": f"{patience_s:.3f}s"}
    return json.dumps({"methodConfig": [every_method]})
