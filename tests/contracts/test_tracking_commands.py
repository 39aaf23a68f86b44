"""What the log decides when many write at once: the same on JetStream and its in-memory twin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rekam_proto.event.v1.envelope_pb2 import Origin
from rekam_proto.tracking.v1 import read_pb2, run_pb2
from rekam_runtime.errors import AlreadyExists, FailedPrecondition, Invalid, NotFound
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.jetstream import JetStreamLog
from rekam_runtime.eventlog.memory import MemoryLog
from rekam_runtime.eventlog.port import EventLog, Record
from rekam_runtime.eventlog.recall import Recaller
from rekam_runtime.process import beside
from rekam_tracking import events
from rekam_tracking.runs.fates import Fates
from tests.support.nats import NatsServer, running_nats
from tests.support.tracking import Replica

CAUSE = Cause(actor="ada")
RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def tracking_nats() -> object:
    with running_nats() as server:
        yield server


@pytest.fixture(params=["memory", "jetstream"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    if request.param == "memory":
        yield MemoryLog()
        return
    server: NatsServer = request.getfixturevalue("tracking_nats")
    connected = await JetStreamLog.connect(server.url, "tracking tests")
    await connected.ensure(events.control_stream())
    await connected.purge(events.STREAM)
    yield connected
    await connected.close()


async def replicas(log: EventLog, count: int) -> list[Replica]:
    return await asyncio.gather(*(Replica.start(log) for _ in range(count)))


async def test_experiment_zero_is_there_once_however_many_start(log: EventLog) -> None:
    started = await replicas(log, 4)
    assert len(await log.read(events.STREAM, events.CATALOG_SUBJECT)) == 1
    await started[0].experiments.catch_up()
    entry = started[0].experiments.standing("0")
    assert entry is not None
    assert entry.experiment.name == "Default"


async def test_two_creators_at_the_same_instant_make_one_experiment(log: EventLog) -> None:
    one, other = await replicas(log, 2)
    outcomes = await asyncio.gather(
        one.experiments.create("house prices", "", {}, CAUSE),
        other.experiments.create("house prices", "", {}, CAUSE),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyExists", "Experiment"]
    ensured = await asyncio.gather(
        *(r.experiments.ensure("b", CAUSE) for r in (one, other) for _ in range(10))
    )
    assert {entry.experiment_id for entry in ensured} == {"2"}


async def test_ids_have_no_doubles_when_many_create(log: EventLog) -> None:
    started = await replicas(log, 3)
    created = await asyncio.gather(
        *(started[n % 3].experiments.create(f"e{n}", "", {"n": str(n)}, CAUSE) for n in range(30))
    )
    assert sorted(int(experiment.experiment_id) for experiment in created) == list(range(1, 31))
    assert all(experiment.tags[0].value == experiment.name[1:] for experiment in created)


async def test_tags_of_an_experiment_are_answered_as_they_are_now(log: EventLog) -> None:
    one, other = await replicas(log, 2)
    id = (await one.experiments.create("a", "", {"x": "1", "y": "1"}, CAUSE)).experiment_id
    await other.experiments.set_tags(id, {"y": "2", "z": "1"}, CAUSE)
    await other.experiments.delete_tags(id, ["x", "unset"], CAUSE)
    renamed = await one.experiments.rename(id, "b", CAUSE)
    assert {tag.key: tag.value for tag in renamed.tags} == {"y": "2", "z": "1"}
    await one.experiments.delete(id, CAUSE)
    with pytest.raises(FailedPrecondition):
        await other.experiments.set_tags(id, {"y": "3"}, CAUSE)


async def test_many_ranks_log_the_same_params_and_all_succeed(log: EventLog) -> None:
    started = await replicas(log, 2)
    run = await started[0].run()
    params = {f"p{n}": str(n) for n in range(20)}
    await asyncio.gather(*(started[n % 2].runs.log_params(run.run_id, params, CAUSE) for n in range(100)))
    state, _ = await started[1].runs.state(run.run_id)
    assert state.params == params
    # The creation, and the params once.
    assert len(await log.read(events.STREAM, events.run_subject(run.run_id))) == 2


async def test_of_conflicting_params_exactly_one_value_wins(log: EventLog) -> None:
    started = await replicas(log, 2)
    run = await started[0].run()
    outcomes = await asyncio.gather(
        *(started[n % 2].runs.log_params(run.run_id, {"lr": str(n), "own": "x"}, CAUSE) for n in range(100)),
        return_exceptions=True,
    )
    winners = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert len(winners) == 1
    for n, outcome in enumerate(outcomes):
        if n != winners[0]:
            assert isinstance(outcome, Invalid)
            assert outcome.message == (
                "Changing param values is not allowed. Param with key='lr' was already logged with "
                f"value='{winners[0]}' for run ID='{run.run_id}'. Attempted logging new value '{n}'."
            )
    state, _ = await started[1].runs.state(run.run_id)
    assert state.params == {"lr": str(winners[0]), "own": "x"}


async def test_many_ranks_log_params_of_their_own(log: EventLog) -> None:
    started = await replicas(log, 2)
    run = await started[0].run()
    await asyncio.gather(
        *(started[n % 2].runs.log_params(run.run_id, {f"rank/{n}": "1"}, CAUSE) for n in range(200))
    )
    state, _ = await started[0].runs.state(run.run_id)
    assert len(state.params) == 200


async def test_a_record_sent_again_is_applied_once_on_any_replica(log: EventLog) -> None:
    one, other = await replicas(log, 2)
    run = await one.run(origin=Origin(writer="w", sequence=1))
    again = await other.run(run.run_id, origin=Origin(writer="w", sequence=1))
    assert again == run
    with pytest.raises(AlreadyExists):
        await other.run(run.run_id, origin=Origin(writer="v", sequence=1))
    record = Cause(origin=Origin(writer="w", sequence=2))
    await asyncio.gather(*(r.runs.set_tags(run.run_id, {"a": "1"}, record) for r in (one, other) * 5))
    await one.runs.set_tags(run.run_id, {"a": "2"}, CAUSE)
    await other.runs.set_tags(run.run_id, {"a": "1"}, record)
    state, _ = await one.runs.state(run.run_id)
    assert state.tags["a"] == "2"


async def test_an_experiments_command_sent_again_is_applied_once_on_any_replica(log: EventLog) -> None:
    one, other = await replicas(log, 2)
    create, delete = (Cause(origin=Origin(writer=writer, sequence=1)) for writer in ("call-1", "call-2"))
    created = await one.experiments.create("a", "", {"x": "1"}, create)
    assert await other.experiments.create("a", "", {"x": "1"}, create) == created
    with pytest.raises(AlreadyExists):
        await other.experiments.create("a", "", {}, delete)
    deleted = await one.experiments.delete(created.experiment_id, delete)
    assert await other.experiments.delete(created.experiment_id, delete) == deleted
    with pytest.raises(NotFound):
        await one.experiments.delete(created.experiment_id, CAUSE)


async def test_a_creation_sent_again_does_not_revive_a_renamed_experiment(log: EventLog) -> None:
    one, other = await replicas(log, 2)
    origin = Origin(writer="w", sequence=1)
    run = await one.run(RUN, experiment_name="a", origin=origin)
    await one.experiments.rename(run.experiment_id, "b", CAUSE)
    again = await other.run(RUN, experiment_name="a", origin=origin)
    assert again.experiment_id == run.experiment_id
    await other.experiments.catch_up()
    assert other.experiments.standing_by_name("a") is None


async def test_what_another_replica_did_is_seen_at_once(log: EventLog) -> None:
    one, other = await replicas(log, 2)
    run = await one.run()
    await other.runs.log_params(run.run_id, {"k": "v"}, CAUSE)
    await other.runs.delete(run.run_id, CAUSE)
    with pytest.raises(FailedPrecondition):
        await one.runs.set_tags(run.run_id, {"a": "1"}, CAUSE)
    await one.runs.restore(run.run_id, CAUSE)
    await other.runs.set_tags(run.run_id, {"a": "1"}, CAUSE)
    await other.experiments.delete("0", CAUSE)
    with pytest.raises(FailedPrecondition):
        await one.runs.log_params(run.run_id, {"l": "v"}, CAUSE)
    with pytest.raises(FailedPrecondition):
        await one.run()
    state, standing = await one.runs.state(run.run_id)
    assert state.lifecycle_in(standing) == read_pb2.LIFECYCLE_DELETED
    await one.experiments.restore("0", CAUSE)
    await other.runs.log_params(run.run_id, {"l": "v"}, CAUSE)


async def test_what_is_not_there_is_not_found(log: EventLog) -> None:
    (replica,) = await replicas(log, 1)
    with pytest.raises(NotFound, match=f"Run with id={RUN} not found"):
        await replica.runs.log_params(RUN, {"k": "v"}, CAUSE)
    with pytest.raises(NotFound):
        await replica.runs.state(RUN)
    with pytest.raises(NotFound, match="No Experiment with id=7 exists"):
        await replica.run(experiment_id="7")
    with pytest.raises(NotFound):
        await replica.experiments.set_tags("7", {"a": "b"}, CAUSE)


async def test_a_refused_creation_leaves_no_run(log: EventLog) -> None:
    (replica,) = await replicas(log, 1)
    await replica.experiments.delete("0", CAUSE)
    with pytest.raises(FailedPrecondition):
        await replica.run(RUN)
    assert await log.read(events.STREAM, events.run_subject(RUN)) == []


async def test_folded_runs_are_forgotten_beyond_the_bound_and_read_again(log: EventLog) -> None:
    (replica,) = await replicas(log, 1)
    big = {f"p{n}": "x" * 6_000 for n in range(50)}
    runs = [await replica.run(params=big) for _ in range(4)]
    for run in runs:
        with pytest.raises(Invalid):
            await replica.runs.log_params(run.run_id, {"p0": "y"}, CAUSE)


async def test_after_a_reset_everything_is_as_new(log: EventLog) -> None:
    (replica,) = await replicas(log, 1)
    await replica.experiments.create("a", "", {}, CAUSE)
    run = await replica.run()
    await log.purge(events.STREAM)
    await replica.experiments.reset()
    replica.runs.forget()
    with pytest.raises(NotFound):
        await replica.runs.state(run.run_id)
    assert (await replica.experiments.create("a", "", {}, CAUSE)).experiment_id == "1"
    assert (await replica.run()).experiment_id == "0"


async def test_whoever_ends_a_run_wins_over_who_takes_it_for_crashed(log: EventLog) -> None:
    (replica,) = await replicas(log, 1)
    fates = Fates(log)
    run = await replica.run()
    assert not await fates.revive(run.run_id)  # folded: it runs
    await replica.finish(run.run_id)
    assert not await fates.crash(run.run_id, heard_ms=1_500)
    state, _ = await replica.runs.state(run.run_id)
    assert (state.status, state.end_ms) == (run_pb2.RUN_STATUS_FINISHED, 2_000)


async def test_an_end_at_the_same_instant_as_a_crash_stays(log: EventLog) -> None:
    (replica,) = await replicas(log, 1)
    fates = Fates(log)
    for _ in range(20):
        run = await replica.run()
        await asyncio.gather(fates.crash(run.run_id, heard_ms=1_500), replica.finish(run.run_id))
        state, _ = await replica.runs.state(run.run_id)
        assert (state.status, state.end_ms) == (run_pb2.RUN_STATUS_FINISHED, 2_000)


async def test_of_two_watchers_one_decides(log: EventLog) -> None:
    (replica,) = await replicas(log, 1)
    one, other = Fates(log), Fates(log)
    run = await replica.run()
    for crashing in (True, False, True):
        decisions = [
            fates.crash(run.run_id, heard_ms=1_500) if crashing else fates.revive(run.run_id)
            for fates in (one, other)
        ]
        assert sorted(await asyncio.gather(*decisions)) == [False, True]
    assert not await one.crash(RUN, heard_ms=1)
    assert await log.read(events.STREAM, events.run_subject(RUN)) == []


async def test_an_experiments_delete_is_known_to_replicas_that_remember(log: EventLog) -> None:
    async with Recaller(log) as recaller:
        one, other = await asyncio.gather(*(Replica.start(log, recaller.recall) for _ in range(2)))
        async with beside(one.experiments.keeper.run()), beside(other.experiments.keeper.run()):

            async def remembers() -> None:
                async with asyncio.timeout(20):
                    while not other.experiments.remembered:
                        await other.experiments.catch_up()
                        await asyncio.sleep(0.02)

            await remembers()
            # What is new since is asked for.
            id = (await one.experiments.create("a", "", {}, CAUSE)).experiment_id
            run = await other.run(experiment_id=id)
            for number in range(5):
                await remembers()
                await other.runs.set_tags(run.run_id, {"round": str(number)}, CAUSE)
                await one.experiments.delete(id, CAUSE)
                with pytest.raises(FailedPrecondition):
                    await other.runs.set_tags(run.run_id, {"late": str(number)}, CAUSE)
                with pytest.raises(FailedPrecondition):
                    await other.run(experiment_id=id)
                await remembers()
                await one.experiments.restore(id, CAUSE)
                await other.run(experiment_id=id)
                await other.runs.set_tags(run.run_id, {"again": str(number)}, CAUSE)
            # A run of an experiment that was restored a moment ago is there to be deleted.
            await one.experiments.delete(id, CAUSE)
            await remembers()
            await one.experiments.restore(id, CAUSE)
            await other.runs.delete(run.run_id, CAUSE)
            with pytest.raises(FailedPrecondition):
                await one.runs.set_tags(run.run_id, {"a": "b"}, CAUSE)


async def test_what_is_remembered_costs_the_log_no_read() -> None:
    log = _Counting()
    replica = await Replica.start(log)
    async with beside(replica.experiments.keeper.run()), asyncio.timeout(20):
        while not replica.experiments.remembered:
            await replica.experiments.catch_up()
            await asyncio.sleep(0.02)
        before = log.reads
        run = await replica.run()
        await replica.finish(run.run_id)
        # As long as it may be remembered: a slow machine may be slower.
        assert log.reads == before or not replica.experiments.remembered


class _Counting(MemoryLog):
    reads = 0

    async def read(self, stream: str, subject: str, after: int = 0) -> list[Record]:
        self.reads += 1
        return await super().read(stream, subject, after)
