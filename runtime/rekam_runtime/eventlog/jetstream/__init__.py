"""The event log on NATS JetStream.

`log.JetStreamLog` is the adapter; beside it: `connection` (one NATS connection, requests
and their replies), `faults` (JetStream's errors as ours), `streams` (creating and
checking), `publishing`, `reading`, `following` and `signalling`.
"""

from rekam_runtime.eventlog.jetstream import lean  # noqa: F401 - before what imports nats
from rekam_runtime.eventlog.jetstream.log import JetStreamLog

__all__ = ["JetStreamLog"]
