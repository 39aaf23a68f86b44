"""Texts in a real Postgres: every line once, in its order, and any part of them by page, tail and time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from rekam_proto.tracking.v1 import text_pb2
from rekam_runtime.errors import Retry
from rekam_tracking.texts import chunks, query
from rekam_tracking.texts.query import BEGINNING, Asked, Place
from tests.support.metrics import (
    MetricStore,
    Row,
    SentFrame,
    SentText,
    metric_store,
    record,
    stored,
    stored_text,
)

# writer, rank (-1: none), time, line
Line = tuple[str, int, int, str]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[MetricStore]:
    async with metric_store(database_url) as opened:
        yield opened


async def apply(store: MetricStore, *texts: SentText) -> None:
    """One batch, one transaction."""
    await store.apply_records(record([], others=map(stored_text, texts)))


def lines_of(blocks: Sequence[text_pb2.TextBlockView]) -> list[Line]:
    return [
        (block.writer, block.rank if block.HasField("rank") else -1, int(time_us), line)
        for block in blocks
        for time_us, line in zip(np.frombuffer(block.times_us, "<i8"), block.lines, strict=True)
    ]


async def whole(store: MetricStore, asked: Asked, place: Place = BEGINNING) -> list[Line]:
    blocks: list[text_pb2.TextBlockView] = []
    more = True
    async with store.reading() as connection:
        while more:
            part = await query.read(connection, asked, place)
            blocks += [found.block for found in part.found]
            place, more = part.following, part.more
    return lines_of(blocks)


async def by_pages(store: MetricStore, asked: Asked, size: int) -> list[Line]:
    lines: list[Line] = []
    place: Place | None = BEGINNING
    async with store.reading() as connection:
        while place is not None:
            blocks, place = await query.page(connection, asked, place, size)
            page = lines_of(blocks)
            assert len(page) <= size
            assert len(page) == size or place is None
            lines += page
    return lines


async def last(store: MetricStore, asked: Asked, lines: int) -> list[Line]:
    async with store.reading() as connection:
        place = await query.tail(connection, asked, lines)
    return await whole(store, asked, place)


def said(writer: str, first: int, number: int) -> tuple[tuple[int, str], ...]:
    return tuple((1_000 * line, f"{writer}: line {line}") for line in range(first, first + number))


@pytest.fixture
async def told(store: MetricStore) -> tuple[str, list[Line]]:
    """A run with 60 batches of two ranks and a writer without one; its lines in their order."""
    run_id = await store.new_run()
    lines: list[Line] = []
    for batch in range(60):
        texts = [
            SentText(run_id, batch + 1, said(writer, 7 * batch, 7), writer=writer, rank=rank)
            for writer, rank in (("a", 0), ("b", 1), ("c", None))
        ]
        await apply(store, *texts)
        lines += [
            (text.writer, -1 if text.rank is None else text.rank, time_us, line)
            for text in texts
            for time_us, line in text.lines
        ]
    return run_id, lines


async def test_every_line_is_there_once_in_its_order(store: MetricStore) -> None:
    run_id = await store.new_run()
    texts = [SentText(run_id, n + 1, said("w", 10 * n, 10)) for n in range(8)]
    await apply(store, *texts[:5], texts[2])
    await apply(store, *texts[3:], texts[0])
    await apply(store, *texts)
    assert await whole(store, Asked(run_id, "stdout")) == [
        ("w", -1, *pair) for text in texts for pair in text.lines
    ]
    async with store.reading() as connection:
        (summary,) = (await query.list_texts(connection, run_id)).texts
    assert (summary.stream, summary.writer, summary.HasField("rank")) == ("stdout", "w", False)
    assert summary.lines == 80
    assert summary.bytes == sum(len(line) for text in texts for _, line in text.lines)


async def test_frames_and_texts_share_the_received_ranges(store: MetricStore) -> None:
    run_id = await store.new_run()
    frame = SentFrame(run_id, ("loss",), 1, (Row(0, 1, (1.0,)),))
    text = SentText(run_id, 1, ((1, "same number"),))
    await store.apply(frame)
    await apply(store, text)
    assert await whole(store, Asked(run_id, "stdout")) == []
    following = stored(replace(frame, sequence=3)), stored_text(replace(text, sequence=2))
    await store.apply_records(record([following[0]], [frame.keys], others=[following[1]]))
    assert await whole(store, Asked(run_id, "stdout")) == [("w", -1, 1, "same number")]
    assert len(await store.series(run_id, "loss")) == 2


async def test_every_character_is_kept(store: MetricStore) -> None:
    run_id = await store.new_run()
    lines = ("", "\0", "a\nb\r", "\x1b[31mred\x1b[0m", "\u2588\U0001f600", "x" * 600_000, "\ufeff")
    await apply(store, SentText(run_id, 1, tuple(enumerate(lines))))
    assert [line for *_, line in await whole(store, Asked(run_id, "stdout"))] == list(lines)


async def test_a_chunk_is_bounded(store: MetricStore) -> None:
    run_id = await store.new_run()
    random.seed(1)
    texts = [
        SentText(run_id, n + 1, tuple((i, random.randbytes(50).hex()) for i in range(500))) for n in range(20)
    ]
    await apply(store, *texts)
    sizes = await store.pool.fetch("SELECT lines FROM text_chunks WHERE run_id = $1", run_id)
    assert len(sizes) > 3
    assert all(row["lines"] * 100 <= chunks.MAX_CHUNK_BYTES for row in sizes)
    assert len(await whole(store, Asked(run_id, "stdout"))) == 10_000


async def test_streams_of_a_run_are_apart(store: MetricStore) -> None:
    run_id, other = await store.new_run(), await store.new_run()
    await apply(
        store,
        SentText(run_id, 1, ((1, "out"),)),
        SentText(run_id, 2, ((2, "err"),), stream="stderr"),
        SentText(run_id, 1, ((3, "diff"),), stream="git.diff", writer="v", rank=2),
        SentText(other, 1, ((4, "other"),)),
    )
    assert await whole(store, Asked(run_id, "stderr")) == [("w", -1, 2, "err")]
    assert await whole(store, Asked(run_id, "nothing")) == []
    async with store.reading() as connection:
        listed = (await query.list_texts(connection, run_id)).texts
    assert [(text.stream, text.writer) for text in listed] == [
        ("git.diff", "v"),
        ("stderr", "w"),
        ("stdout", "w"),
    ]


async def test_writer_and_rank_choose(store: MetricStore, told: tuple[str, list[Line]]) -> None:
    run_id, lines = told
    assert await whole(store, Asked(run_id, "stdout")) == lines
    assert await whole(store, Asked(run_id, "stdout", writer="c")) == [one for one in lines if one[0] == "c"]
    assert await whole(store, Asked(run_id, "stdout", rank=1)) == [one for one in lines if one[1] == 1]
    assert await whole(store, Asked(run_id, "stdout", writer="a", rank=1)) == []
    assert await whole(store, Asked(run_id, "stdout", rank=7)) == []


async def test_pages_are_the_whole(store: MetricStore, told: tuple[str, list[Line]]) -> None:
    run_id, lines = told
    for size in (1, 6, 7, 8, 100, 1259, 1260, 5_000):
        assert await by_pages(store, Asked(run_id, "stdout"), size) == lines, size
    bounded = Asked(run_id, "stdout", rank=1, time_from=3_500, time_to=200_000)
    wanted = [one for one in lines if one[1] == 1 and 3_500 <= one[2] <= 200_000]
    for size in (1, 10, 1_000):
        assert await by_pages(store, bounded, size) == wanted, size


async def test_a_page_of_long_lines_has_fewer(store: MetricStore) -> None:
    run_id = await store.new_run()
    texts = [SentText(run_id, n + 1, ((n, chr(97 + n) * 900_000),)) for n in range(6)]
    await apply(store, *texts)
    async with store.reading() as connection:
        blocks, place = await query.page(connection, Asked(run_id, "stdout"), BEGINNING, 100)
        rest, end = await query.page(connection, Asked(run_id, "stdout"), place or BEGINNING, 100)
    assert [line[0] for *_, line in lines_of(blocks)] == ["a", "b", "c"]
    assert [line[0] for *_, line in lines_of(rest)] == ["d", "e", "f"]
    assert end is None


async def test_a_tail_is_the_last_lines(store: MetricStore, told: tuple[str, list[Line]]) -> None:
    run_id, lines = told
    for number in (1, 7, 8, 500, 1260, 99_999):
        assert await last(store, Asked(run_id, "stdout"), number) == lines[-number:], number
    bounded = Asked(run_id, "stdout", writer="b", time_to=200_500)
    wanted = [one for one in lines if one[0] == "b" and one[2] <= 200_500]
    for number in (1, 10, 1_000):
        assert await last(store, bounded, number) == wanted[-number:], number


async def test_a_place_of_another_generation_is_not_taken_for_one_of_this(
    store: MetricStore, told: tuple[str, list[Line]]
) -> None:
    run_id, _ = told
    async with store.reading() as connection:
        _, place = await query.page(connection, Asked(run_id, "stdout"), BEGINNING, 10)
        assert place is not None
        with pytest.raises(Retry, match="rebuilt"):
            await query.read(
                connection, Asked(run_id, "stdout"), place._replace(generation=place.generation + 1)
            )


def test_a_chunk_survives_being_kept() -> None:
    for lines in chunked():
        block = chunks.unpack(*chunks.pack(lines))
        assert list(block.lines) == list(lines.lines)
        assert np.frombuffer(block.times_us, "<i8").tolist() == lines.times_us.tolist()


def chunked() -> Iterator[chunks.Lines]:
    for number in (1, 3, 10_000):
        lines = [f"line {n} " + "=" * (n % 50) for n in range(number)]
        yield chunks.Lines(np.arange(number, dtype="<i8") - 5, lines, sum(map(len, lines)))
