"""Fixtures of the contract suites."""

from tests.support.nats import mortal_nats_server, nats_server
from tests.support.postgres import database_url, postgres_server

__all__ = ["database_url", "mortal_nats_server", "nats_server", "postgres_server"]
