"""gRPC settings that both ends of our connections share."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

SHARED = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Large messages in few frames, and windows that grow to what the connection carries.
    ("grpc.http2.max_frame_size", 1024 * 1024),
    ("grpc.http2.bdp_probe", 1),
    # A peer that vanished without a word is noticed within 40 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
SERVER = (
    *SHARED,
    # Clients may ask whether we are there, idle streams included, but not without end.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
CLIENT = (
    *SHARED,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A replica that was replaced has another address; it is looked up again within this.
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    # Retrying is decided by whoever knows whether the call may be sent twice.
    ("grpc.enable_retries", 0),
)
