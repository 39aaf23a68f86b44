"""Text streams on the real stack: through the gateway into the log, read by client and command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import grpc
import pytest

from rekam import Client
from rekam.errors import Invalid, NotFound
from tests.support.ingest import IngestStream, text
from tests.support.stack import REKAM, rekam


@pytest.fixture
def channel(rekam_tracking_uri: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(rekam_tracking_uri.removeprefix("grpc://")) as opened:
        yield opened


@pytest.fixture
def client(rekam_tracking_uri: str) -> Client:
    return Client(rekam_tracking_uri)


@pytest.fixture
def run_id(client: Client) -> str:
    return str(client.create_run("0").info.run_id)


@pytest.fixture
def stream(channel: grpc.Channel, run_id: str) -> Iterator[IngestStream]:
    """Two ranks of the run on one stream: rank 0 has handle 0, rank 1 handle 1."""
    with IngestStream(channel) as opened:
        for rank in (0, 1):
            opened.open(run_id, writer=f"w{rank}", handle=rank, rank=rank)
        yield opened


def say(stream: IngestStream, sequence: int, *lines: str, of: str = "stdout", rank: int = 0) -> None:
    assert stream.send(text=text(sequence, lines, stream=of, run=rank)) is None


def console(client: Client, *arguments: str) -> list[str]:
    done = rekam("runs", "console", *arguments, "--uri", client.tracking_uri)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_lines_are_read_back_as_they_were_written(
    channel: grpc.Channel, client: Client, run_id: str, stream: IngestStream
) -> None:
    lines = ["epoch 1\tloss 0.5", "", "█ \x1b[1mbold\x1b[0m \0", "x" * 500_000]
    say(stream, 1, *lines)
    say(stream, 1, "another text with a number that was received")
    with IngestStream(channel) as other:
        other.open(run_id, writer="w0", rank=0)
        say(other, 1, *lines)
        say(other, 2, "last")
    found = client.get_text(run_id)
    assert [line.text for line in found] == [*lines, "last"]
    assert {(line.writer, line.rank) for line in found} == {("w0", 0)}
    assert found[1].time_us == 1_700_000_000_000_001
    (writer,) = [one for one in client.get_completeness(run_id) if one.writer == "w0"]
    assert (writer.complete_up_to, writer.points, writer.alive) == (2, 0, None)


def test_streams_and_ranks_are_told_apart(client: Client, run_id: str, stream: IngestStream) -> None:
    say(stream, 1, "out 0", "more")
    say(stream, 1, "out 1", rank=1)
    say(stream, 2, "warning", of="stderr", rank=1)
    say(stream, 2, "diff --git a b", "+new", of="git.diff")
    assert [(each.stream, each.rank, each.lines, each.bytes) for each in client.list_texts(run_id)] == [
        ("git.diff", 0, 2, 18),
        ("stderr", 1, 1, 7),
        ("stdout", 0, 2, 9),
        ("stdout", 1, 1, 5),
    ]
    assert [line.text for line in client.get_text(run_id, rank=1)] == ["out 1"]
    assert [line.text for line in client.get_text(run_id, tail=2)] == ["more", "out 1"]
    assert client.get_text(run_id, "nothing") == []

    assert console(client, run_id) == ["[0] out 0", "[0] more", "[1] out 1"]
    assert console(client, run_id, "--rank", "0", "--tail", "1") == ["more"]
    assert console(client, run_id, "--stream", "stderr") == ["warning"]
    as_json = [json.loads(line) for line in console(client, run_id, "--json")]
    assert [(line["text"], line["rank"]) for line in as_json] == [("out 0", 0), ("more", 0), ("out 1", 1)]
    diff = rekam("runs", "diff", run_id, "--uri", client.tracking_uri)
    assert diff.stdout == "diff --git a b\n+new\n"


def test_a_stream_is_followed_as_it_grows(client: Client, run_id: str, stream: IngestStream) -> None:
    say(stream, 1, "first", "second")
    following = client.stream_text(run_id, tail=1, follow=True)
    assert next(following).text == "second"
    for number in range(2, 5):
        say(stream, number, f"line {number}")
        assert next(following).text == f"line {number}"
    following.close()


def test_the_command_line_follows_until_it_is_stopped(
    client: Client, run_id: str, stream: IngestStream
) -> None:
    say(stream, 1, "first")
    command = [REKAM, "runs", "console", run_id, "--follow", "--uri", client.tracking_uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "first\n"
        say(stream, 2, "second")
        assert following.stdout.readline() == "second\n"
        following.terminate()


def test_what_is_asked_wrongly_is_refused(client: Client, run_id: str) -> None:
    with pytest.raises(NotFound):
        client.get_text("f" * 32)
    for wrong in ({"stream": ""}, {"tail": -1}, {"tail": 100_001}, {"writer": "a b"}, {"times_us": (2, 1)}):
        with pytest.raises(Invalid) as refused:
            client.get_text(run_id, **wrong)
        assert refused.value.field == next(iter(wrong))


def test_writers_of_a_run_are_listed(client: Client, run_id: str, stream: IngestStream) -> None:
    say(stream, 1, "a line")
    listed = rekam("runs", "writers", run_id, "--uri", client.tracking_uri)
    assert listed.returncode == 0, listed.stderr
    heading, first = listed.stdout.splitlines()
    assert heading.split()[:3] == ["WRITER", "RANK", "ALIVE"]
    assert first.split()[:2] == ["w0", "0"]
