"""Channels to other processes of Rekam."""

from __future__ import annotations

import grpc.aio

from rekam_runtime.rpc import options


def channel(target: str) -> grpc.aio.Channel:
    """A channel that connects when first used, and again, soon, whenever it is lost.

    target: `host:port`, `dns:///name:port` (all replicas in turn) or `unix:/path`.
    """
    balancing = ("grpc.lb_policy_name", "round_robin")
    # No proxy of the environment stands between our own processes.
    direct = ("grpc.enable_http_proxy", 0)
    return grpc.aio.insecure_channel(target, options=(*options.CLIENT, balancing, direct))
