"""Imports `nats` without its WebSocket transport; to be imported before anything of `nats`.

That transport, which nothing here uses, imports aiohttp when it is installed (the artifacts
service needs it for S3): 0.13 s of CPU at the start of every process, and 11 MB in it.
"""

from __future__ import annotations

import importlib
import sys


def _import_without(name: str, absent: str) -> None:
    if absent in sys.modules:
        importlib.import_module(name)
        return
    # None in the place of a module makes its import fail, which `nats` is prepared for.
    sys.modules[absent] = None  # type: ignore[assignment]
    try:
        importlib.import_module(name)
    finally:
        del sys.modules[absent]


_import_without("nats", absent="aiohttp")
