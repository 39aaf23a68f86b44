"""The ingest stream on the real stack: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Iterable, Iterator

import grpc
import httpx
import pytest

from rekam.testing import LocalStack
from rekam_proto.ingest.v1 import ingest_pb2
from rekam_proto.tracking.v1 import metric_pb2, metric_pb2_grpc, run_pb2, run_pb2_grpc
from tests.support.ingest import IngestStream, frame, key_set, text

INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = 3, 5, 9
LOSS = key_set("loss")
PAIR = key_set("loss", "accuracy")


@pytest.fixture
def channel(rekam_tracking_uri: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(rekam_tracking_uri.removeprefix("grpc://")) as opened:
        yield opened


@pytest.fixture
def run_id(channel: grpc.Channel) -> str:
    runs = run_pb2_grpc.RunServiceStub(channel)
    return runs.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run_id


@pytest.fixture
def stream(channel: grpc.Channel, run_id: str) -> Iterator[IngestStream]:
    """A stream on which the run is open under handle 0 and both key sets are known."""
    with IngestStream(channel) as opened:
        opened.open(run_id)
        assert opened.send(key_set=LOSS) is None
        assert opened.send(key_set=PAIR) is None
        yield opened


def history(channel: grpc.Channel, run_id: str, key: str = "loss") -> metric_pb2.Points:
    metrics = metric_pb2_grpc.MetricServiceStub(channel)
    return metrics.GetHistory(metric_pb2.GetHistoryRequest(run_id=run_id, key=key)).points


def bits(values: Iterable[float]) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


def test_a_frame_is_read_back_as_it_was_sent(
    channel: grpc.Channel, run_id: str, stream: IngestStream
) -> None:
    sent = frame(1, PAIR, steps=[0, 1, 2], values=[0.5, 0.4, 0.3, 0.1, 0.2, 0.3])
    assert stream.send(frame=sent) is None
    loss = history(channel, run_id)
    assert (list(loss.steps), list(loss.values)) == ([0, 1, 2], [0.5, 0.4, 0.3])
    assert list(loss.times_us) == list(sent.times_us)
    assert list(history(channel, run_id, "accuracy").values) == [0.1, 0.2, 0.3]


def test_every_bit_of_a_value_is_kept(channel: grpc.Channel, run_id: str, stream: IngestStream) -> None:
    payload_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF))[0]
    values = [math.nan, payload_nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    assert stream.send(frame=frame(1, LOSS, steps=range(7), values=values)) is None
    assert bits(history(channel, run_id).values) == bits(values)


def test_steps_may_be_any_number_in_any_order(
    channel: grpc.Channel, run_id: str, stream: IngestStream
) -> None:
    steps = [5, -3, 2**62, 0, -(2**63), 2**63 - 1]
    assert stream.send(frame=frame(1, LOSS, steps=steps, values=[1, 2, 3, 4, 5, 6])) is None
    assert list(history(channel, run_id).steps) == steps


def test_the_same_frame_twice_is_stored_once(
    channel: grpc.Channel, run_id: str, stream: IngestStream
) -> None:
    sent = frame(1, LOSS, steps=[0, 1], values=[1.0, 2.0])
    assert stream.send(frame=sent) is None
    assert stream.send(frame=sent) is None
    assert stream.send(frame=frame(2, LOSS, steps=[2], values=[3.0])) is None
    assert sorted(history(channel, run_id).values) == [1.0, 2.0, 3.0]


def test_a_frame_sent_again_on_another_stream_is_stored_once(channel: grpc.Channel, run_id: str) -> None:
    for _ in range(2):
        with IngestStream(channel) as stream:
            stream.open(run_id)
            stream.send(key_set=LOSS)
            assert stream.send(frame=frame(1, LOSS, steps=[0], values=[1.0])) is None
    assert list(history(channel, run_id).values) == [1.0]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"steps": []}, "frame.steps"),
        ({"times_us": [1]}, "frame.times_us"),
        ({"times_us": []}, "frame.times_us"),
        ({"values": [1.0, 2.0, 3.0]}, "frame.values"),
        ({"values": []}, "frame.values"),
        ({"values": [1.0] * 5}, "frame.values"),
        ({"sequence": 0}, "frame.sequence"),
        ({"sequence": 2**63 - 1}, "frame.sequence"),
    ],
)
def test_a_frame_that_does_not_fit_together_is_refused_and_the_stream_goes_on(
    channel: grpc.Channel, run_id: str, stream: IngestStream, change: dict[str, object], field: str
) -> None:
    good = {"run": 0, "sequence": 1, "key_set": PAIR.hash, "steps": [0, 1], "times_us": [1, 2]}
    bad = ingest_pb2.Frame(**(good | {"values": [1.0] * 4} | change))  # type: ignore[arg-type]
    refusal = stream.send(frame=bad)
    assert refusal is not None
    assert (refusal.code, refusal.field) == (INVALID_ARGUMENT, field), refusal
    following = 1 if field == "frame.sequence" else 2
    assert stream.send(frame=frame(following, LOSS, steps=[7], values=[0.5])) is None
    assert list(history(channel, run_id).values) == [0.5]


def test_an_empty_frame_is_refused(stream: IngestStream) -> None:
    refusal = stream.send(frame=ingest_pb2.Frame(run=0, sequence=1, key_set=LOSS.hash))
    assert refusal is not None and refusal.field == "frame.steps"


def test_a_frame_over_the_limit_is_refused(stream: IngestStream) -> None:
    rows = 45_000  # 3 x 8 bytes each
    refusal = stream.send(frame=frame(1, LOSS, steps=range(rows), values=[0.0] * rows))
    assert refusal is not None
    assert (refusal.code, refusal.field) == (INVALID_ARGUMENT, "frame")
    assert "1000000 bytes" in refusal.message


def test_a_frame_with_an_unknown_key_set_is_refused(stream: IngestStream) -> None:
    refusal = stream.send(frame=frame(1, key_set("never sent"), steps=[0], values=[0.0]))
    assert refusal is not None
    assert (refusal.code, refusal.field) == (NOT_FOUND, "frame.key_set")


def test_a_gap_in_the_sequence_is_refused(stream: IngestStream) -> None:
    assert stream.send(frame=frame(1, LOSS, steps=[0], values=[0.0])) is None
    refusal = stream.send(frame=frame(3, LOSS, steps=[2], values=[2.0]))
    assert refusal is not None
    assert (refusal.code, refusal.field) == (FAILED_PRECONDITION, "frame.sequence")
    assert stream.send(frame=frame(2, LOSS, steps=[1], values=[1.0])) is None


def test_a_declared_gap_is_shown(channel: grpc.Channel, run_id: str, stream: IngestStream) -> None:
    assert stream.send(frame=frame(1, LOSS, steps=[0], values=[0.0])) is None
    stream.open(run_id, next_sequence=4)
    assert stream.send(frame=frame(4, LOSS, steps=[3], values=[3.0])) is None
    metrics = metric_pb2_grpc.MetricServiceStub(channel)
    (writer,) = metrics.GetCompleteness(metric_pb2.GetCompletenessRequest(run_id=run_id)).writers
    assert (writer.complete_up_to, writer.greatest, writer.points) == (1, 4, 2)
    assert [(gap.first, gap.last) for gap in writer.gaps] == [(2, 3)]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x" * 251,
        "/a",
        "a/",
        "a//b",
        "a/../b",
        "a/./b",
        "..",
        ".",
        "a\n",
        "a\x00b",
        "what?",
        "a\\b",
        "a#b",
        "ключ!",
    ],
)
def test_a_key_of_a_forbidden_form_is_refused(stream: IngestStream, key: str) -> None:
    refusal = stream.send(key_set=key_set("fine", key))
    assert refusal is not None
    assert (refusal.code, refusal.field) == (INVALID_ARGUMENT, "key_set.keys[1]")


@pytest.mark.parametrize("key", ["x" * 250, "a b/c.d-e:f_g", "потеря", "損失/訓練", "...", "a/...b"])
def test_a_key_of_an_allowed_form_is_taken(
    channel: grpc.Channel, run_id: str, stream: IngestStream, key: str
) -> None:
    keys = key_set(key)
    assert stream.send(key_set=keys) is None
    assert stream.send(frame=frame(1, keys, steps=[0], values=[1.5])) is None
    assert list(history(channel, run_id, key).values) == [1.5]


def test_a_key_set_must_match_its_hash_and_name_each_key_once(stream: IngestStream) -> None:
    wrong = stream.send(key_set=ingest_pb2.KeySet(hash=b"0" * 16, keys=["a"]))
    assert wrong is not None and wrong.field == "key_set.hash"
    twice = stream.send(key_set=key_set("a", "b", "a"))
    assert twice is not None and twice.field == "key_set.keys[2]"
    empty = stream.send(key_set=key_set())
    assert empty is not None and empty.field == "key_set.keys"


def test_a_run_that_does_not_exist_is_refused_and_so_are_its_frames(channel: grpc.Channel) -> None:
    with IngestStream(channel) as stream:
        opened = ingest_pb2.OpenRun(run_id=uuid.uuid4().hex, writer="test", next_sequence=1)
        refusal = stream.send(open_run=opened)
        assert refusal is not None and refusal.code == NOT_FOUND
        stream.send(key_set=LOSS)
        refusal = stream.send(frame=frame(1, LOSS, steps=[0], values=[0.0]))
        assert refusal is not None
        assert (refusal.code, refusal.field) == (NOT_FOUND, "frame.run")


def test_a_deleted_run_takes_no_frames_until_it_is_restored(channel: grpc.Channel, run_id: str) -> None:
    runs = run_pb2_grpc.RunServiceStub(channel)
    runs.DeleteRun(run_pb2.DeleteRunRequest(run_id=run_id))
    with IngestStream(channel) as stream:
        opened = ingest_pb2.OpenRun(run_id=run_id, writer="test", next_sequence=1)
        refusal = stream.send(open_run=opened)
        assert refusal is not None
        assert (refusal.code, refusal.field) == (FAILED_PRECONDITION, "open_run.run_id")
        assert "deleted" in refusal.message
        runs.RestoreRun(run_pb2.RestoreRunRequest(run_id=run_id))
        assert stream.send(open_run=opened) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"handle": 65_536}, "open_run.handle"),
        ({"run_id": "ABC"}, "open_run.run_id"),
        ({"run_id": "'; DROP TABLE runs; --"}, "open_run.run_id"),
        ({"writer": ""}, "open_run.writer"),
        ({"writer": "x" * 65}, "open_run.writer"),
        ({"writer": "a b"}, "open_run.writer"),
        ({"next_sequence": 0}, "open_run.next_sequence"),
        ({"next_sequence": 2**63 - 1}, "open_run.next_sequence"),
    ],
)
def test_a_run_opened_against_the_rules_is_refused(
    channel: grpc.Channel, run_id: str, change: dict[str, object], field: str
) -> None:
    good: dict[str, object] = {"run_id": run_id, "writer": "test", "next_sequence": 1}
    with IngestStream(channel) as stream:
        refusal = stream.send(open_run=ingest_pb2.OpenRun(**(good | change)))  # type: ignore[arg-type]
        assert refusal is not None
        assert (refusal.code, refusal.field) == (INVALID_ARGUMENT, field)


def test_a_frame_for_a_handle_that_is_not_open_is_refused(stream: IngestStream) -> None:
    refusal = stream.send(frame=frame(1, LOSS, steps=[0], values=[0.0], run=9))
    assert refusal is not None and refusal.field == "frame.run"


def test_ids_that_do_not_increase_end_the_stream(stream: IngestStream) -> None:
    with pytest.raises(grpc.RpcError) as ended:
        stream.send_raw(ingest_pb2.IngestRequest(id=1, key_set=LOSS))
    assert ended.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_request_that_cannot_be_read_ends_the_stream(channel: grpc.Channel) -> None:
    ingest: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
        "/rekam_proto.ingest.v1.IngestService/Ingest"
    )
    with pytest.raises(grpc.RpcError) as ended:
        list(ingest(iter([b"\xff\xff not a message"]), timeout=20))
    assert ended.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_request_without_a_body_is_refused(stream: IngestStream) -> None:
    refusal = stream.send()
    assert refusal is not None and refusal.field == "body"


def test_control_records_go_through_the_stream_once(channel: grpc.Channel) -> None:
    run_id = uuid.uuid4().hex
    creation = run_pb2.CreateRunRequest(run_id=run_id, experiment_name="by stream", name="first")
    creation.origin.writer, creation.origin.sequence = "test", 1
    params = run_pb2.LogParamsRequest(run_id=run_id)
    params.params.add(key="depth", value="5")
    params.origin.writer, params.origin.sequence = "test", 2
    changed = run_pb2.LogParamsRequest(run_id=run_id)
    changed.params.add(key="depth", value="6")
    changed.origin.writer, changed.origin.sequence = "test", 3
    with IngestStream(channel) as stream:
        assert stream.send(create_run=creation) is None
        assert stream.send(create_run=creation) is None
        assert stream.send(log_params=params) is None
        refusal = stream.send(log_params=changed)
        assert refusal is not None and refusal.code == INVALID_ARGUMENT
        assert "Changing param values is not allowed" in refusal.message
    run = run_pb2_grpc.RunServiceStub(channel).GetRun(run_pb2.GetRunRequest(run_id=run_id))
    assert [(param.key, param.value) for param in run.params] == [("depth", "5")]
    assert run.name == "first"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": [], "times_us": []}, "text.lines"),
        ({"lines": [""] * 65_537, "times_us": [1] * 65_537}, "text.lines"),
        ({"times_us": [1]}, "text.times_us"),
        ({"times_us": []}, "text.times_us"),
        ({"lines": ["x" * 500_000] * 2}, "text"),
        ({"stream": ""}, "text.stream"),
        ({"stream": "../stdout"}, "text.stream"),
        ({"run": 9}, "text.run"),
        ({"sequence": 0}, "text.sequence"),
        ({"sequence": 3}, "text.sequence"),
    ],
)
def test_a_text_against_the_rules_is_refused_and_the_stream_goes_on(
    stream: IngestStream, change: dict[str, object], field: str
) -> None:
    good: dict[str, object] = {"run": 0, "sequence": 1, "stream": "stdout"}
    good |= {"times_us": [1, 2], "lines": ["a", "b"]}
    refusal = stream.send(text=ingest_pb2.Text(**(good | change)))  # type: ignore[arg-type]
    assert refusal is not None and refusal.field == field
    following = 1 if field in ("text.run", "text.sequence") else 2
    assert stream.send(text=text(following, ["c"])) is None


def test_frames_and_texts_share_one_count(stream: IngestStream) -> None:
    assert stream.send(frame=frame(1, LOSS, steps=[0], values=[1.0])) is None
    assert stream.send(text=text(2, ["one line"])) is None
    refusal = stream.send(frame=frame(4, LOSS, steps=[1], values=[2.0]))
    assert refusal is not None
    assert (refusal.code, refusal.field) == (FAILED_PRECONDITION, "frame.sequence")
    assert stream.send(frame=frame(3, LOSS, steps=[1], values=[2.0])) is None


def test_a_heartbeat_is_never_answered_and_needs_id_0(stream: IngestStream) -> None:
    for interval_ms, run in [(15_000, 0), (15_000, 0), (0, 0), (2**32 - 1, 0), (15_000, 9)]:
        stream.tell(heartbeat=ingest_pb2.Heartbeat(run=run, interval_ms=interval_ms))
    assert stream.send(key_set=LOSS) is None  # no answer came before this one's
    refusal = stream.send(heartbeat=ingest_pb2.Heartbeat(run=0, interval_ms=15_000))
    assert refusal is not None and refusal.field == "id"


def test_of_many_heartbeats_few_go_to_the_log(rekam_clean: LocalStack, stream: IngestStream) -> None:
    before = taken_in(rekam_clean, "rekam_ingest_heartbeats_total")
    for _ in range(500):
        stream.tell(heartbeat=ingest_pb2.Heartbeat(run=0, interval_ms=15_000))
    assert stream.send(key_set=LOSS) is None
    assert 1 <= taken_in(rekam_clean, "rekam_ingest_heartbeats_total") - before < 50


def taken_in(stack: LocalStack, name: str) -> float:
    """A counter of the gateway."""
    lines = httpx.get(f"{stack.http}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.split()[0] == name)


def test_nothing_but_a_heartbeat_may_have_id_0(stream: IngestStream) -> None:
    with pytest.raises(grpc.RpcError) as ended:
        stream.send_raw(ingest_pb2.IngestRequest(id=0, text=text(1, ["x"])))
    assert ended.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("change", [{"run_id": "0" * 32}, {"run_id": "x"}, {"writer": "a b"}])
def test_frames_behind_a_refused_handle_do_not_fall_to_the_run_it_named_before(
    channel: grpc.Channel, run_id: str, stream: IngestStream, change: dict[str, str]
) -> None:
    opened = {"handle": 0, "run_id": run_id, "writer": "test", "next_sequence": 1} | change
    assert stream.send(open_run=ingest_pb2.OpenRun(**opened)) is not None  # type: ignore[arg-type]
    refusal = stream.send(frame=frame(1, LOSS, steps=[0], values=[1.0]))
    assert refusal is not None
    assert refusal.field == "frame.run"
    assert not history(channel, run_id).values
