"""Group commit of files: what goes together, and who is answered what when one is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from rekam_gateway.artifacts.committing import IN_FLIGHT, MOST_FILES, Committer
from rekam_proto.artifacts.v1 import artifact_pb2, storage_pb2, storage_pb2_grpc
from rekam_runtime.errors import FailedPrecondition, Invalid, Retry
from rekam_runtime.rpc.client import channel
from rekam_runtime.rpc.server import Service, build_server
from rekam_runtime.settings import HostPort

SERVICE = storage_pb2.DESCRIPTOR.services_by_name["StorageService"].full_name


class Storage(storage_pb2_grpc.StorageServiceServicer):
    """Refuses as the artifacts service does: all of a request for one file of it."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.actors: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def PutStoredFiles(
        self,
        request: artifact_pb2.PutFilesRequest,
        context: grpc.aio.ServicerContext[artifact_pb2.PutFilesRequest, artifact_pb2.PutFilesResponse],
    ) -> artifact_pb2.PutFilesResponse:
        self.requests.append([file.path for file in request.files])
        self.actors.append(request.actor)
        await self.open.wait()
        for index, file in enumerate(request.files):
            if file.path.startswith("bad"):
                raise Invalid("a path is good", field=f"files[{index}].path")
            if file.path.startswith("late"):
                raise FailedPrecondition("it was given up", field=f"files[{index}].object_key")
            if file.path == "vague":
                raise FailedPrecondition("something is wrong with one of them")
            if file.path == "down":
                raise Retry("not now")
        return artifact_pb2.PutFilesResponse(files=request.files)


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
async def committer(storage: Storage) -> AsyncIterator[Committer]:
    service = Service(
        SERVICE, lambda server: storage_pb2_grpc.add_StorageServiceServicer_to_server(storage, server)
    )
    async with build_server([service], HostPort("127.0.0.1", 0)) as server:
        opened = channel(f"127.0.0.1:{server.port}")
        yield Committer(storage_pb2_grpc.StorageServiceStub(opened))
        await opened.close()


async def put(committer: Committer, *paths: str, actor: str = "") -> list[str | BaseException]:
    answers = await asyncio.gather(
        *(committer.put(artifact_pb2.File(path=path), actor) for path in paths), return_exceptions=True
    )
    return [answer if isinstance(answer, BaseException) else answer.path for answer in answers]


async def test_what_arrives_together_is_listed_together(committer: Committer, storage: Storage) -> None:
    paths = [str(number) for number in range(MOST_FILES + 500)]
    assert await put(committer, *paths) == paths
    # Requests that are on their way together may arrive in either order.
    requests = sorted(storage.requests, key=lambda request: int(request[0]))
    assert [path for request in requests for path in request] == paths
    assert len(storage.requests) <= IN_FLIGHT + 2
    assert max(len(request) for request in storage.requests) <= MOST_FILES


async def test_requests_have_a_size_that_the_service_takes(committer: Committer, storage: Storage) -> None:
    paths = [f"{number}/{'x' * 2_000}" for number in range(900)]
    assert await put(committer, *paths) == paths
    assert max(sum(len(path) for path in request) for request in storage.requests) < 900_000


async def test_actors_are_kept_apart(committer: Committer, storage: Storage) -> None:
    await asyncio.gather(put(committer, "a", "b", actor="x"), put(committer, "c", actor="y"))
    assert dict(zip(map(tuple, storage.requests), storage.actors, strict=True)) == {
        ("a", "b"): "x",
        ("c",): "y",
    }


async def test_one_that_is_refused_takes_no_other_with_it(committer: Committer) -> None:
    answers = await put(committer, "a", "bad 1", "b", "late", "c", "bad 2")
    assert [answer for answer in answers if isinstance(answer, str)] == ["a", "b", "c"]
    for index in (1, 5):
        refused = answers[index]
        assert isinstance(refused, Invalid)
        assert (refused.message, refused.field) == ("a path is good", "path")
    # Its bytes are gone: whoever sent them can do it again.
    assert isinstance(answers[3], Retry)


async def test_a_refusal_that_names_none_is_for_the_one_it_is_about(committer: Committer) -> None:
    answers = await put(committer, "a", "vague", "b")
    assert (answers[0], answers[2]) == ("a", "b")
    assert isinstance(answers[1], FailedPrecondition)


async def test_what_may_be_sent_again_is_said_to_all(committer: Committer) -> None:
    answers = await put(committer, "a", "down", "b")
    assert all(isinstance(answer, Retry) for answer in answers)
    assert await put(committer, "a") == ["a"]


async def test_what_nobody_waits_for_any_more_is_not_listed(committer: Committer, storage: Storage) -> None:
    storage.open.clear()
    first = [asyncio.create_task(put(committer, f"first {number}")) for number in range(IN_FLIGHT)]
    left = asyncio.create_task(put(committer, "left"))
    stays = asyncio.create_task(put(committer, "stays"))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    storage.open.set()
    assert await stays == ["stays"]
    await asyncio.gather(*first)
    assert "left" not in {path for request in storage.requests for path in request}
