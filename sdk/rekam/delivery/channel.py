"""gRPC channels to a gateway. grpc is imported when the first one is made."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import grpc

_OPTIONS = (
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # A peer that is gone without a word is noticed.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Each channel tries to connect at once, whatever became of those before it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # This is how long an attempt to connect may take: a machine may be busy.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.primary_user_agent", "rekam-python"),
)


def load_grpc() -> None:
    """Import gRPC, in a thread of the program.

    A fork while a thread of ours imports it would leave a child that does so waiting for ever.
    """
    # gRPC's core writes notes on closed connections to stderr; the SDK says what matters itself.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # Its own fork handlers can hang a fork for ever. They are for children that use gRPC, and
    # those go through a relay here.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    import grpc  # noqa: F401


def open_channel(target: str) -> grpc.Channel:
    """A new channel to host:port. In a forked child it goes through a relay process."""
    load_grpc()
    import grpc

    if _forked_after_grpc:
        from rekam.delivery.relay import RelayChannel

        return cast(grpc.Channel, RelayChannel(target))
    # A proxy of the environment leads away from this machine.
    local = target.startswith(("127.", "localhost:", "[::1]:"))
    return grpc.insecure_channel(
        target, options=(*_OPTIONS, *([("grpc.enable_http_proxy", 0)] if local else []))
    )


# Whether an ancestor that forked this process had gRPC loaded: then it does not work here.
_forked_after_grpc = False


def _forked() -> None:
    global _forked_after_grpc
    _forked_after_grpc = _forked_after_grpc or "grpc" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
