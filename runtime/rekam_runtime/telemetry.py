"""Logs and figures: structlog set up once per process, Prometheus beside it.

A log line carries service, role and pid. Nothing secret gets into one: a `Secret` is
printed as ***, and so are the user and password of a URL in any text.
Figures of the process itself (memory, CPU, open files) are in Prometheus' own registry.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from prometheus_client import Info

LOG_FORMATS = ("json", "console")
LOG_LEVELS = ("debug", "info", "warning", "error")

# For histograms of calls, from a cached read to a long query.
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_process = Info("rekam_process", "What this process is")
_URL_USER = re.compile(r"://[^\s/@'\"]+@")


def configure_logging(service: str, role: str, fmt: str = "json", level: str = "info") -> None:
    """Log to stderr from now on, libraries' logs included, as lines of JSON or for people."""
    identity = {"service": service, "role": role, "pid": os.getpid()}
    first: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {**identity, **event},
    ]
    structlog.configure(
        processors=[*first, *_rendering(fmt)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=first,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(fmt)],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, _number(level)), force=True)
    _process.info({"service": service, "role": role})


class _Stderr:
    """Where lines go. One that cannot be written, on a full disk say, must not end the work it is about."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def _rendering(fmt: str) -> list[Any]:
    if fmt == "console":
        render: Callable[..., Any] = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Not the pretty one: it prints local variables.
            exception_formatter=structlog.dev.plain_traceback,
        )
        return [render, _hide_url_users]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
        _hide_url_users,
    ]


def _hide_url_users(_logger: Any, _method: str, line: str) -> str:
    return _URL_USER.sub("://***@", line)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
