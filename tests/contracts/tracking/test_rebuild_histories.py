"""Any history of events: what is rebuilt from the log equals what was projected while it was written."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from google.protobuf.message import Message

from rekam_proto.ingest.v1 import ingest_pb2, points_pb2, views_pb2
from rekam_proto.tracking.v1 import dataset_pb2, experiment_pb2, logged_model_pb2, run_pb2
from rekam_proto.tracking.v1.read_pb2 import Param, Tag
from rekam_runtime.eventlog.envelope import Cause, draft, type_name, wrap
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import Draft
from rekam_runtime.eventlog.shards import points_stream, points_streams, points_subject, shard_of
from rekam_runtime.names import key_set_hash
from rekam_runtime.operating.quarantine import Quarantined
from rekam_runtime.postgres import Pool, acquire, connect_pool, migrate, pinned
from rekam_runtime.process import beside
from rekam_runtime.projection import BatchLimits, FreshReads, Projector, quarantine_stream
from rekam_runtime.rebuild import Rebuilder, requests
from rekam_tracking import events
from rekam_tracking.metrics import upkeep
from rekam_tracking.metrics.settling import settle
from rekam_tracking.plan import parts, plan
from tests.contracts.test_projection import running, until
from tests.support.metrics import Row, SentFrame, stored

SHARDS = 2
KEY_SETS = [("loss",), ("loss", "acc"), ("acc", "loss", "lr"), tuple(f"layer{n}" for n in range(7))]
STATUSES = [run_pb2.RUN_STATUS_RUNNING, run_pb2.RUN_STATUS_FINISHED, run_pb2.RUN_STATUS_FAILED]
PENDING = logged_model_pb2.LOGGED_MODEL_STATUS_PENDING
VALUES = [0.0, -0.0, 1.5, -2.25, float("nan"), float("inf"), 1e300]


def key_sets(shard: int) -> list[tuple[str, ...]]:
    """Of a shard's own: whether one is announced in time must not depend on the other shard's pace."""
    return [tuple(f"shard{shard}/{key}" for key in keys) for keys in KEY_SETS]


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await migrate(database_url, "rekam_tracking")
    opened = await connect_pool(database_url, max_size=14, application_name="history tests")
    yield opened
    await opened.close()


@dataclass
class History:
    """Appends random events; most of them make sense."""

    random: random.Random
    log: MemoryLog
    runs: list[str] = field(default_factory=list)
    experiments: int = 0
    models: int = 0
    sequences: dict[tuple[str, str], int] = field(default_factory=dict)
    announced: set[int] = field(default_factory=set)

    async def go_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.random.random() < 0.5:
                await self._control()
            else:
                await self._points()

    async def _control(self) -> None:
        choose = self.random
        kinds = [self._experiment, self._run, self._model, *([self._change] if self.runs else [])]
        event = choose.choices(kinds, [1, 2, 3, 8][: len(kinds)])[0]()
        subject = f"rekam.tracking.run.{uuid.uuid4().hex}"
        if choose.random() < 0.03:
            await self.log.append(Draft(subject, choose.randbytes(9), uuid.uuid4().hex))
        await self.log.append(draft(subject, wrap(event, Cause("test"), aggregate="x")))

    def _experiment(self) -> Message:
        choose = self.random
        if not self.experiments or choose.random() < 0.3:
            self.experiments += 1
            id = str(self.experiments)
            return experiment_pb2.ExperimentCreated(experiment_id=id, name=f"e{id}", tags=[self._tag()])
        id = str(choose.randint(1, self.experiments))
        return choose.choice(
            [
                experiment_pb2.ExperimentRenamed(experiment_id=id, name=f"r{uuid.uuid4().hex}", updated_ms=5),
                experiment_pb2.ExperimentDeleted(experiment_id=id, updated_ms=choose.randint(1, 99)),
                experiment_pb2.ExperimentRestored(experiment_id=id, updated_ms=choose.randint(1, 99)),
                experiment_pb2.ExperimentTagsSet(experiment_id=id, tags=[self._tag()]),
                experiment_pb2.ExperimentTagsDeleted(experiment_id=id, keys=["k1"]),
            ]
        )

    def _run(self) -> Message:
        run_id = uuid.UUID(bytes=self.random.randbytes(16)).hex
        self.runs.append(run_id)
        return run_pb2.RunCreated(
            run_id=run_id,
            experiment_id=str(self.random.randint(1, max(1, self.experiments))),
            name="n",
            tags=[self._tag()],
            params=[Param(key="p", value="1")],
        )

    def _change(self) -> Message:
        choose, run_id = self.random, self.random.choice(self.runs)
        return choose.choice(
            [
                run_pb2.RunUpdated(run_id=run_id, status=choose.choice(STATUSES), end_ms=7),
                run_pb2.RunUpdated(run_id=run_id, name=f"n{choose.randint(1, 9)}"),
                run_pb2.RunDeleted(run_id=run_id),
                run_pb2.RunRestored(run_id=run_id),
                run_pb2.TagsSet(run_id=run_id, tags=[self._tag(), self._tag()]),
                run_pb2.TagsDeleted(run_id=run_id, keys=[self._tag().key]),
                run_pb2.ParamsLogged(run_id=run_id, params=[Param(key=self._tag().key, value="x")]),
                run_pb2.InputsLogged(
                    run_id=run_id,
                    # Any: what it says of datasets must not depend on when its run is written.
                    experiment_id=str(choose.randint(1, 3)),
                    datasets=[self._dataset() for _ in range(choose.randint(0, 2))],
                    models=[run_pb2.ModelInput(model_id=f"m{choose.randint(1, 3)}")],
                ),
                run_pb2.OutputsLogged(
                    run_id=run_id,
                    models=[
                        run_pb2.ModelOutput(model_id=f"m{choose.randint(1, 3)}", step=choose.randint(1, 9))
                    ],
                ),
            ]
        )

    def _model(self) -> Message:
        choose = self.random
        tags, params = (
            [self._tag(), self._tag()],
            [Param(key=self._tag().key, value=str(choose.randint(1, 9)))],
        )
        if not self.models or choose.random() < 0.2:
            self.models += 1
            return logged_model_pb2.LoggedModelCreated(
                model_id=f"m-{self.models}", experiment_id="1", name="n", tags=tags, params=params
            )
        model_id = f"m-{choose.randint(1, self.models)}"
        status = choose.choice([logged_model_pb2.LOGGED_MODEL_STATUS_READY, *[PENDING] * 2])
        metrics = [
            logged_model_pb2.LoggedModelMetric(
                key="acc", value=choose.choice(VALUES), time_us=choose.randint(1, 2), dataset_name="d"
            )
            for _ in range(2)
        ]
        return choose.choice(
            [
                logged_model_pb2.LoggedModelFinalized(
                    model_id=model_id, status=status, updated_ms=choose.randint(1, 99)
                ),
                logged_model_pb2.LoggedModelDeleted(model_id=model_id, updated_ms=choose.randint(1, 99)),
                logged_model_pb2.LoggedModelTagsSet(model_id=model_id, tags=tags),
                logged_model_pb2.LoggedModelTagsDeleted(model_id=model_id, keys=[self._tag().key]),
                logged_model_pb2.LoggedModelParamsLogged(model_id=model_id, params=params),
                logged_model_pb2.LoggedModelMetricsLogged(model_id=model_id, metrics=metrics),
            ]
        )

    def _dataset(self) -> dataset_pb2.DatasetInput:
        name, source = (str(self.random.randint(1, 3)) for _ in range(2))
        dataset = dataset_pb2.Dataset(name=name, digest="d", source_type="local", source=source)
        return dataset_pb2.DatasetInput(dataset=dataset, tags=[self._tag(), self._tag()])

    def _tag(self) -> Tag:
        # A NUL is no text for Postgres: such an event is set aside.
        value = "\0" if self.random.random() < 0.02 else str(self.random.randint(0, 5))
        return Tag(key=f"k{self.random.randint(1, 4)}", value=value)

    async def _points(self) -> None:
        if not self.runs:
            return
        choose = self.random
        run_id = choose.choice(self.runs)
        shard = shard_of(bytes.fromhex(run_id), SHARDS)
        records = [self._record(run_id, shard) for _ in range(choose.randint(1, 4))]
        for number, keys in enumerate(key_sets(shard)):
            # Announced late now and then: the frames before are set aside.
            if (shard << 8 | number) not in self.announced and choose.random() < 0.8:
                self.announced.add(shard << 8 | number)
                key_set = ingest_pb2.KeySet(hash=key_set_hash(keys), keys=keys)
                records.insert(0, views_pb2.PointRecordView(key_set=key_set))
        envelope = wrap(views_pb2.PointsAppendedView(records=records), Cause("test"), aggregate="")
        envelope.type = type_name(points_pb2.PointsAppended)
        await self.log.append(Draft(points_subject(shard), envelope.SerializeToString(), uuid.uuid4().hex))

    def _record(self, run_id: str, shard: int) -> views_pb2.PointRecordView:
        choose = self.random
        writer = choose.choice(["w", "v"])
        place = (run_id, writer)
        # Sent again, or with a gap, now and then.
        sequence = max(1, self.sequences.get(place, 0) + choose.choice([1, 1, 1, 0, -1, 3]))
        self.sequences[place] = max(sequence, self.sequences.get(place, 0))
        if choose.random() < 0.2:
            count = choose.randint(1, 3)
            times = b"".join((sequence * 10 + n).to_bytes(8, "little") for n in range(count))
            text = views_pb2.StoredTextView(run_id=bytes.fromhex(run_id), sequence=sequence, writer=writer)
            text.stream, text.times_us = "stdout", times
            text.lines.extend(f"line {choose.random()}" for _ in range(count))
            return views_pb2.PointRecordView(text=text)
        keys = choose.choice(key_sets(shard))
        rows = tuple(
            Row(choose.randint(-5, 40), choose.randint(0, 50), tuple(choose.choice(VALUES) for _ in keys))
            for _ in range(choose.randint(1, 12))
        )
        return views_pb2.PointRecordView(frame=stored(SentFrame(run_id, keys, sequence, rows, writer, 1)))


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_rebuilt_equals_what_was_projected(pool: Pool, seed: int) -> None:
    choose = random.Random(seed)
    log = MemoryLog()
    for spec in (events.control_stream(), quarantine_stream(events.SERVICE), *points_streams(SHARDS)):
        await log.ensure(spec)
    streams = [events.STREAM, *(points_stream(shard) for shard in range(SHARDS))]
    live = [
        Projector(
            log,
            pool,
            stream=name,
            service=events.SERVICE,
            apply=part.apply,
            rolled_back=part.forget,
            limits=BatchLimits(max_records=choose.randint(1, 40)),
        )
        for name, part in parts(SHARDS).items()
    ]
    history = History(choose, log)
    async with running(*live), FreshReads(log, pool) as fresh:
        for _ in range(3):
            await history.go_on(60)
            await fresh.caught_up(streams, 30)
            await upkeep.compact(pool, crowded=choose.randint(2, 10))
            async with pinned(pool) as connection:
                await settle(connection)
        await _drop_some(pool, choose)
        async with acquire(pool) as connection:
            await requests.start(connection, "test", accept_differences=False)
        async with beside(Rebuilder(log, pool, plan(SHARDS)).run()):
            await history.go_on(60)

            async def ended() -> bool:
                async with acquire(pool) as connection:
                    return (await requests.find(connection)).ended

            await until(ended, 60)
    async with acquire(pool) as connection:
        standing = await requests.find(connection)
    assert standing.row["state"] == "done", (standing.row["message"], standing.differences)


async def _drop_some(pool: Pool, choose: random.Random) -> None:
    quarantined = Quarantined(pool, lambda: parts(SHARDS))
    for row in await quarantined.list("", ("", 0), 1_000, dropped=False):
        if choose.random() < 0.5:
            await quarantined.drop((row["stream"], row["position"]), "test", "a test")
