"""Fixtures of the contract suites."""

from tests.support.nats import mortal_nats_server, nats_server

__all__ = ["mortal_nats_server", "nats_server"]
