"""What the parts can do alone on this machine, measured in the same run.

raw_jetstream_bytes_per_s  messages of 256 KiB into a file stream with fsync on every
                           publish, 8 on their way, one client
raw_copy_bytes_per_s       rows of 64 KiB by binary COPY into a table of its own,
                           committed every 8 MiB, one connection
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid

import asyncpg
import nats

from bench.report import Figures

MESSAGE = os.urandom(256 * 1024)
MESSAGES = 3_000
IN_FLIGHT = 8
ROW = os.urandom(64 * 1024)
ROWS_PER_COPY = 128
COPIES = 48


async def measure_ceilings(figures: Figures, nats_url: str, postgres_url: str) -> None:
    figures.add("raw_jetstream_bytes_per_s", await _jetstream(nats_url))
    figures.add("raw_copy_bytes_per_s", await _copy(postgres_url))


async def _jetstream(url: str) -> float:
    client = await nats.connect(url, pending_size=64 * 1024 * 1024)
    jetstream = client.jetstream()
    name = f"BENCH_{uuid.uuid4().hex}"
    await jetstream.add_stream(name=name, subjects=[f"bench.{name}"])
    free = asyncio.Semaphore(IN_FLIGHT)

    async def publish() -> None:
        async with free:
            await jetstream.publish(f"bench.{name}", MESSAGE, timeout=60)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(MESSAGES):
            tasks.create_task(publish())
    seconds = time.perf_counter() - started
    await jetstream.delete_stream(name)
    await client.close()
    return MESSAGES * len(MESSAGE) / seconds


async def _copy(url: str) -> float:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE bench_copy (id bigint, data bytea STORAGE EXTERNAL)")
    try:
        started = time.perf_counter()
        for _ in range(COPIES):
            rows = [(row, ROW) for row in range(ROWS_PER_COPY)]
            await connection.copy_records_to_table("bench_copy", records=rows)
        seconds = time.perf_counter() - started
    finally:
        await connection.execute("DROP TABLE bench_copy")
        await connection.close()
    return COPIES * ROWS_PER_COPY * len(ROW) / seconds
