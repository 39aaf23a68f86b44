"""Postgres: pools, named statements, migrations. The only place that imports asyncpg.

`pool` connects and says which faults of the driver are worth a retry, `statements` reads
.sql files, `migrating` brings a database to what the code expects, `generations` are the tables
of a projection, of which one set is read while another is built.
"""

from rekam_runtime.postgres.generations import pinned
from rekam_runtime.postgres.migrating import migrate, pending
from rekam_runtime.postgres.pool import Connection, Pool, Row, acquire, connect_pool, retry_of
from rekam_runtime.postgres.statements import Statements

__all__ = [
    "Connection",
    "Pool",
    "Row",
    "Statements",
    "acquire",
    "connect_pool",
    "migrate",
    "pending",
    "pinned",
    "retry_of",
]
