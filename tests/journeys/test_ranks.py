"""Ranks of a run on the real stack: points of one, a series for each, by client and command line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import pytest

from rekam import Client
from tests.support.ingest import IngestStream, frame, key_set
from tests.support.stack import rekam

LOSS = key_set("loss")


@pytest.fixture
def client(rekam_tracking_uri: str) -> Client:
    return Client(rekam_tracking_uri)


@pytest.fixture
def run_id(client: Client) -> Iterator[str]:
    """A run of ranks 0 to 2, and a writer without a rank; each value is its rank, or -1."""
    run_id = str(client.create_run("0").info.run_id)
    target = client.tracking_uri.removeprefix("grpc://")
    with grpc.insecure_channel(target) as channel, IngestStream(channel) as stream:
        assert stream.send(key_set=LOSS) is None
        for handle, rank in enumerate((None, 0, 1, 2)):
            stream.open(run_id, writer=f"w{handle}", handle=handle, rank=rank)
            value = -1.0 if rank is None else float(rank)
            sent = frame(1, LOSS, steps=range(10), values=[value] * 10, run=handle)
            assert stream.send(frame=sent) is None
        yield run_id


def printed(client: Client, *arguments: str) -> list[dict[str, object]]:
    done = rekam("metrics", *arguments, "--json", "--uri", client.tracking_uri)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_points_of_one_rank(client: Client, run_id: str) -> None:
    assert set(client.get_history(run_id, "loss").values) == {-1.0, 0.0, 1.0, 2.0}
    assert list(client.get_history(run_id, "loss", rank=2, steps=(3, 5)).values) == [2.0] * 3
    assert not len(client.get_history(run_id, "loss", rank=0, writer="w3"))
    (buckets,) = client.get_buckets([run_id], ["loss"], 1, rank=1)
    assert (list(buckets.count), list(buckets.max)) == ([10], [1.0])
    points = printed(client, "history", run_id, "loss", "--rank", "1", "--to-step", "1")
    assert [point["value"] for point in points] == [1.0, 1.0]


def test_a_series_for_each_rank(client: Client, run_id: str) -> None:
    assert [(each.rank, each.writers, each.points) for each in client.list_ranks(run_id)] == [
        (None, ("w0",), 10),
        (0, ("w1",), 10),
        (1, ("w2",), 10),
        (2, ("w3",), 10),
    ]
    series = list(client.stream_history([run_id], ["loss"], by_rank=True))
    assert [(each.rank, set(each.values)) for each in series] == [
        (None, {-1.0}),
        (0, {0.0}),
        (1, {1.0}),
        (2, {2.0}),
    ]
    charted = client.get_buckets([run_id], ["loss"], 2, by_rank=True)
    assert [(each.rank, list(each.count)) for each in charted] == [(rank, [5, 5]) for rank in (None, 0, 1, 2)]
    points = printed(client, "history", run_id, "loss", "--by-rank", "--from-step", "9")
    assert [(each["rank"], each["value"]) for each in points] == [(None, -1.0), (0, 0.0), (1, 1.0), (2, 2.0)]
    buckets = printed(client, "buckets", run_id, "loss", "--by-rank")
    assert [each["rank"] for each in buckets] == [None, 0, 1, 2]
