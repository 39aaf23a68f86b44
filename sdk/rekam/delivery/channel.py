"""gRPC channels to a gateway. grpc is imported when the first one is made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

_OPTIONS = (
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # A peer that is gone without a word is noticed.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Each channel tries to connect at once, whatever became of those before it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.primary_user_agent", "rekam-python"),
)


def open_channel(target: str) -> grpc.Channel:
    """A new channel to host:port."""
    # gRPC's core writes notes on closed connections to stderr; the SDK says what matters itself.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    import grpc

    return grpc.insecure_channel(target, options=_OPTIONS)
