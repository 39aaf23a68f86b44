"""The service on real parts; the log begins empty for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rekam_registry.events import STREAM
from rekam_runtime.eventlog.jetstream import JetStreamLog
from tests.support.nats import NatsServer, running_nats
from tests.support.registry_service import RegistryService, running_registry


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    """Of the registry's tests alone: they purge its stream."""
    with running_nats() as server:
        yield server


@pytest.fixture
async def log(nats: NatsServer) -> AsyncIterator[JetStreamLog]:
    opened = await JetStreamLog.connect(nats.url, "test")
    if STREAM in await opened.streams():
        await opened.purge(STREAM)
    yield opened
    await opened.close()


@pytest.fixture
async def registry(nats: NatsServer, log: JetStreamLog, database_url: str) -> AsyncIterator[RegistryService]:
    async with running_registry(nats.url, database_url) as service:
        yield service
