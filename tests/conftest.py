"""For all tests, before any of them imports gRPC."""

from __future__ import annotations

import os

# gRPC's handlers for forks can abort a child of a process with open channels. Tests fork only to
# start programs (Postgres as another user), and the SDK switches the handlers off for itself.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
