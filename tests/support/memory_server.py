"""A real gRPC server that keeps what it is sent in memory: for tests of the client.

It speaks IngestService with its documented rules (order, refusals, sequences, origins) and
the little of the tracking API that the SDK's start needs. A test may hold acknowledgements,
break streams, or refuse records.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from rekam_proto.ingest.v1 import ingest_pb2
from rekam_proto.tracking.v1 import experiment_pb2, read_pb2, run_pb2

_CHANGES = ("update_run", "log_params", "set_tags", "delete_tags")
Point = tuple[int, int, float]  # step, time_us, value


class MemoryServer:
    """Everything that was stored, once; and everything that was received."""

    def __init__(self, address: str = "127.0.0.1:0") -> None:
        self.changed = threading.Condition()
        self.experiments: dict[str, str] = {"Default": "0"}
        self.runs: dict[str, run_pb2.CreateRunRequest] = {}
        self.updates: dict[str, run_pb2.UpdateRunRequest] = {}
        self.params: dict[str, dict[str, str]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        # (run id, writer) -> sequence -> (rank, keys, frame)
        self.frames: dict[tuple[str, str], dict[int, tuple[int | None, list[str], ingest_pb2.Frame]]] = {}
        # (run id, writer) -> sequence -> text
        self.texts: dict[tuple[str, str], dict[int, ingest_pb2.Text]] = {}
        self.controls: dict[tuple[str, str], int] = {}
        # (run id, writer) -> (rank, interval in ms, how many were heard)
        self.heartbeats: dict[tuple[str, str], tuple[int | None, int, int]] = {}
        self.received_frames = 0
        self.streams = 0
        self.holding = False
        self.refuse: Callable[[ingest_pb2.IngestRequest], ingest_pb2.Refusal | None] = lambda _: None
        self._calls: list[grpc.ServicerContext] = []
        self._server = grpc.server(
            ThreadPoolExecutor(32, thread_name_prefix="memory-server"),
            options=[("grpc.max_receive_message_length", 64 * 1024 * 1024), ("grpc.so_reuseport", 0)],
        )
        ingest = grpc.stream_stream_rpc_method_handler(
            self._ingest,
            ingest_pb2.IngestRequest.FromString,
            ingest_pb2.IngestResponse.SerializeToString,
        )
        self._serve("rekam_proto.ingest.v1.IngestService", Ingest=ingest)
        self._serve(
            "rekam_proto.tracking.v1.ExperimentService",
            EnsureExperiment=_unary(self._ensure_experiment, experiment_pb2.CreateExperimentRequest),
        )
        self._serve(
            "rekam_proto.tracking.v1.RunService",
            GetRunState=_unary(self._get_run_state, run_pb2.GetRunStateRequest),
            GetRun=_unary(self._get_run, run_pb2.GetRunRequest),
        )
        self.port = self._server.add_insecure_port(address)
        self._server.start()

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.stop(grace=None).wait(5)

    def hold(self) -> None:
        """Store, but acknowledge nothing."""
        self.holding = True

    def release(self) -> None:
        """Acknowledge again; streams that were owed one break and have to send again."""
        self.break_streams(holding=False)

    def break_streams(self, holding: bool | None = None) -> None:
        """End every ingest stream with UNAVAILABLE; holding: what later ones find."""
        with self.changed:
            calls, self._calls = self._calls, []
            for call in calls:
                call.cancel()
            if holding is not None:
                self.holding = holding
            self.changed.notify_all()

    # ---- what tests ask ----

    def wait_for(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout), "the server never saw it"

    def points(self, run_id: str, key: str) -> list[Point]:
        """Stored points of a metric, in the order of writers and sequences."""
        found = []
        for (run, _), frames in sorted(self.frames.items()):
            if run != run_id:
                continue
            for _, (_, keys, frame) in sorted(frames.items()):
                if key in keys:
                    column, n = keys.index(key), len(frame.steps)
                    values = frame.values[column * n : (column + 1) * n]
                    found += list(zip(frame.steps, frame.times_us, values, strict=True))
        return found

    def lines(self, run_id: str, stream: str) -> list[str]:
        """Stored lines of a text stream, in the order of writers and sequences."""
        return [
            line
            for (run, _), texts in sorted(self.texts.items())
            for _, text in sorted(texts.items())
            for line in text.lines
            if run == run_id and text.stream == stream
        ]

    def bits(self, run_id: str, key: str) -> bytes:
        """The values' bit patterns."""
        return array("d", [value for _, _, value in self.points(run_id, key)]).tobytes()

    def writers(self, run_id: str) -> list[str]:
        return sorted(writer for run, writer in self.frames if run == run_id)

    # ---- IngestService ----

    def _serve(self, service: str, **methods: grpc.RpcMethodHandler[Any, Any]) -> None:
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))

    def _ingest(
        self, requests: Iterator[ingest_pb2.IngestRequest], context: grpc.ServicerContext
    ) -> Iterator[ingest_pb2.IngestResponse]:
        with self.changed:
            self._calls.append(context)
            self.streams += 1
            self.changed.notify_all()
        opened: dict[int, ingest_pb2.OpenRun] = {}
        expected: dict[int, int] = {}
        key_sets: dict[bytes, list[str]] = {}
        last = 0
        for request in requests:
            if request.HasField("heartbeat") and not request.id:
                self._heartbeat(request.heartbeat, opened.get(request.heartbeat.run))
                continue
            if request.id <= last:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"id {request.id} after {last}")
            last = request.id
            with self.changed:
                refusal = self.refuse(request) or self._take(request, opened, expected, key_sets)
                self.changed.notify_all()
            if self.holding:
                continue
            if refusal is not None:
                refusal.id = request.id
                yield ingest_pb2.IngestResponse(refusal=refusal)
            yield ingest_pb2.IngestResponse(ack=ingest_pb2.Ack(id=request.id))

    def _heartbeat(self, heartbeat: ingest_pb2.Heartbeat, run: ingest_pb2.OpenRun | None) -> None:
        with self.changed:
            if run is not None and run.run_id in self.runs:
                place = (run.run_id, run.writer)
                *_, heard = self.heartbeats.get(place, (None, 0, 0))
                rank = run.rank if run.HasField("rank") else None
                self.heartbeats[place] = (rank, heartbeat.interval_ms, heard + 1)
            self.changed.notify_all()

    def _take(
        self,
        request: ingest_pb2.IngestRequest,
        opened: dict[int, ingest_pb2.OpenRun],
        expected: dict[int, int],
        key_sets: dict[bytes, list[str]],
    ) -> ingest_pb2.Refusal | None:
        body = request.WhichOneof("body")
        if body in _CHANGES and getattr(request, body).run_id not in self.runs:
            return _refusal(5, "run_id", "no such run")
        match body:
            case "open_run":
                opened[request.open_run.handle] = request.open_run
                expected[request.open_run.handle] = request.open_run.next_sequence
                if request.open_run.run_id not in self.runs:
                    return _refusal(5, "open_run.run_id", "no such run")
            case "key_set":
                key_sets[request.key_set.hash] = list(request.key_set.keys)
            case "frame":
                return self._frame(request.frame, opened, expected, key_sets)
            case "text":
                return self._text(request.text, opened, expected)
            case "create_run":
                if self._is_new(request.create_run):
                    self.runs[request.create_run.run_id] = request.create_run
                    self.tags[request.create_run.run_id] = {t.key: t.value for t in request.create_run.tags}
            case "update_run":
                if self._is_new(request.update_run):
                    self.updates.setdefault(request.update_run.run_id, run_pb2.UpdateRunRequest()).MergeFrom(
                        request.update_run
                    )
            case "log_params":
                params = self.params.setdefault(request.log_params.run_id, {})
                for param in request.log_params.params:
                    if params.get(param.key, param.value) != param.value:
                        return _refusal(3, f"params[{param.key}]", "the param has another value")
                if self._is_new(request.log_params):
                    params.update({param.key: param.value for param in request.log_params.params})
            case "set_tags":
                if self._is_new(request.set_tags):
                    self.tags.setdefault(request.set_tags.run_id, {}).update(
                        {tag.key: tag.value for tag in request.set_tags.tags}
                    )
        return None

    def _frame(
        self,
        frame: ingest_pb2.Frame,
        opened: dict[int, ingest_pb2.OpenRun],
        expected: dict[int, int],
        key_sets: dict[bytes, list[str]],
    ) -> ingest_pb2.Refusal | None:
        self.received_frames += 1
        refusal = self._follows("frame", frame, opened, expected)
        if refusal is not None:
            return refusal
        keys = key_sets.get(frame.key_set)
        if keys is None:
            return _refusal(5, "frame.key_set", "unknown key set")
        n = len(frame.steps)
        if not n or len(frame.times_us) != n or len(frame.values) != n * len(keys):
            return _refusal(3, "frame.values", "wrong lengths")
        if frame.ByteSize() > 1_000_000:
            return _refusal(3, "frame", "over the limit")
        run = opened[frame.run]
        rank = run.rank if run.HasField("rank") else None
        stored = self.frames.setdefault((run.run_id, run.writer), {})
        stored.setdefault(frame.sequence, (rank, keys, frame))
        return None

    def _text(
        self, text: ingest_pb2.Text, opened: dict[int, ingest_pb2.OpenRun], expected: dict[int, int]
    ) -> ingest_pb2.Refusal | None:
        refusal = self._follows("text", text, opened, expected)
        if refusal is not None:
            return refusal
        if not 1 <= len(text.lines) <= 65_536 or len(text.times_us) != len(text.lines):
            return _refusal(3, "text.lines", "wrong lengths")
        if text.ByteSize() > 1_000_000:
            return _refusal(3, "text", "over the limit")
        run = opened[text.run]
        self.texts.setdefault((run.run_id, run.writer), {}).setdefault(text.sequence, text)
        return None

    def _follows(
        self,
        name: str,
        body: ingest_pb2.Frame | ingest_pb2.Text,
        opened: dict[int, ingest_pb2.OpenRun],
        expected: dict[int, int],
    ) -> ingest_pb2.Refusal | None:
        """Whether the run is open and there, and the sequence the next one or one before."""
        run = opened.get(body.run)
        if run is None:
            return _refusal(3, f"{name}.run", "no run is open under this handle")
        if run.run_id not in self.runs:
            return _refusal(5, f"{name}.run", "no such run")
        if body.sequence > expected[body.run]:
            return _refusal(9, f"{name}.sequence", f"gap: {expected[body.run]} comes next")
        expected[body.run] = max(expected[body.run], body.sequence + 1)
        return None

    def _is_new(self, request: Any) -> bool:
        """Whether a control record's origin was not seen before."""
        key = (request.run_id, request.origin.writer)
        if request.origin.sequence <= self.controls.get(key, 0):
            return False
        self.controls[key] = request.origin.sequence
        return True

    # ---- the tracking API, as far as logging needs it ----

    def _ensure_experiment(
        self, request: experiment_pb2.CreateExperimentRequest, context: grpc.ServicerContext
    ) -> experiment_pb2.Experiment:
        with self.changed:
            experiment_id = self.experiments.setdefault(request.name, str(len(self.experiments)))
        return experiment_pb2.Experiment(experiment_id=experiment_id, name=request.name)

    def _get_run_state(
        self, request: run_pb2.GetRunStateRequest, context: grpc.ServicerContext
    ) -> run_pb2.RunState:
        run = self.runs.get(request.run_id)
        if run is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Run with id={request.run_id} not found")
            raise AssertionError("abort raises")
        return run_pb2.RunState(run_id=run.run_id, experiment_id=run.experiment_id)

    def _get_run(self, request: run_pb2.GetRunRequest, context: grpc.ServicerContext) -> run_pb2.Run:
        run = self.runs.get(request.run_id)
        if run is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Run with id={request.run_id} not found")
            raise AssertionError("abort raises")
        return run_pb2.Run(
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            name=run.name,
            user=run.user,
            status=self.updates[run.run_id].status
            if run.run_id in self.updates
            else run_pb2.RUN_STATUS_RUNNING,
            start_ms=run.start_ms,
            params=[read_pb2.Param(key=k, value=v) for k, v in self.params.get(run.run_id, {}).items()],
            tags=[read_pb2.Tag(key=k, value=v) for k, v in self.tags.get(run.run_id, {}).items()],
        )


def _unary(method: Callable[..., Any], request: Any) -> grpc.RpcMethodHandler[Any, Any]:
    return grpc.unary_unary_rpc_method_handler(
        method, request.FromString, lambda answer: answer.SerializeToString()
    )


def _refusal(code: int, field: str, message: str) -> ingest_pb2.Refusal:
    return ingest_pb2.Refusal(code=code, field=field, message=message)
