"""Fixtures of the contract suites."""

from tests.support.nats import mortal_nats_server, nats_server
from tests.support.postgres import database_url, postgres_server
from tests.support.seaweed import mortal_seaweed_server, seaweed_server

__all__ = [
    "database_url",
    "mortal_nats_server",
    "mortal_seaweed_server",
    "nats_server",
    "postgres_server",
    "seaweed_server",
]
