"""Artifacts by the SDK and the command line: all that is logged comes back, however it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rekam import Client, settings
from rekam.errors import FailedPrecondition, Invalid, NotFound, Unsupported
from rekam.testing import LocalStack
from rekam.transfer import local
from rekam.transfer.download import part_of
from rekam.transfer.progress import Progress
from rekam.transfer.upload import Uploader
from rekam_proto.artifacts.v1 import artifact_pb2
from tests.support.faults import Faults
from tests.support.programs import Program
from tests.support.stack import rekam, until

MIB = 1024 * 1024
# Goes in parts, or in one stream that takes a while.
LARGE = 192 * MIB
QUIET = {"REKAM_SYSTEM_METRICS": "0", "REKAM_CONSOLE": "0", "REKAM_GIT": "0"}


@pytest.fixture
def client(rekam_tracking_uri: str) -> Client:
    return Client(rekam_tracking_uri)


@pytest.fixture
def run_id(client: Client) -> str:
    return str(client.create_run("0").info.run_id)


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def fill(path: Path, size: int) -> Path:
    """A file of bytes that nothing else has."""
    with path.open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(min(MIB, size)))
    return path


def stored(client: Client, run_id: str, path: str) -> artifact_pb2.File:
    request = artifact_pb2.GetFileRequest(path=client.artifact_uri(run_id, path).partition(":/")[2])
    found: artifact_pb2.File = client._server.artifacts.GetFile(request)
    return found


def program(uri: str, spool: Path, source: str, **environ: str) -> Program:
    return Program(uri, spool, source, directory=None, **QUIET, **environ)


# ---- files ----


def test_a_directory_comes_back_as_it_was(client: Client, run_id: str, tmp_path: Path) -> None:
    logged = tmp_path / "logged"
    (logged / "deep" / "er").mkdir(parents=True)
    (logged / "nothing here").mkdir()
    for name, data in {
        "empty": b"",
        "also empty": b"",
        "ünï 日本 +~%25 'x'.txt": "é".encode(),
        "deep/er/.hidden": b"1",
        "deep/three.bin": os.urandom(3 * MIB + 1),
        "deep/same.bin": b"the same",
        "same.bin": b"the same",
    }.items():
        (logged / name).write_bytes(data)
    (logged / "link").symlink_to(logged / "same.bin")
    client.log_artifacts(run_id, logged, "a/b")
    place = Path(client.download_artifacts(run_id, "a", tmp_path / "back"))
    assert place == tmp_path / "back" / "a"
    assert tree(place / "b") == tree(logged)
    assert [path.name for path in place.rglob(".*")] == [".hidden"]


def test_names_and_places_are_those_of_mlflow(client: Client, run_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "x.json").write_text("{}")
    client.log_artifact(run_id, folder / "x.json")
    client.log_artifact(run_id, str(folder), "to")
    client.log_text(run_id, "héllo", "to//./note.txt")
    listed = client.list_artifacts(run_id)
    assert [(each.path, each.is_dir, each.file_size) for each in listed] == [
        ("to", True, None),
        ("x.json", False, 2),
    ]
    assert [each.path for each in client.list_artifacts(run_id, "to")] == ["to/model", "to/note.txt"]
    assert [each.path for each in client.list_artifacts(run_id, recursive=True)] == [
        "x.json",
        "to/note.txt",
        "to/model/x.json",
    ]
    assert client.list_artifacts(run_id, "x.json") == client.list_artifacts(run_id, "missing") == []
    assert [each.path for each in client.list_uri(f"runs:/{run_id}/to/model")] == ["model/x.json"]
    assert client.download_artifacts(run_id, "to/note.txt", tmp_path / "d") == f"{tmp_path}/d/to/note.txt"
    by_uri = client.download_uri(f"{client.artifact_uri(run_id)}/to/note.txt", tmp_path / "d")
    assert by_uri == f"{tmp_path}/d/note.txt"
    assert Path(by_uri).read_text() == "héllo"
    assert Path(client.download_artifacts(run_id, "")).joinpath("x.json").read_text() == "{}"
    client.delete_artifacts(run_id, "to")
    client.delete_artifacts(run_id, "to")
    assert [each.path for each in client.list_artifacts(run_id, recursive=True)] == ["x.json"]


def test_what_is_wrong_is_said(client: Client, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="missing"):
        client.log_artifact(run_id, tmp_path / "missing")
    with pytest.raises(NotADirectoryError):
        client.log_artifacts(run_id, tmp_path / "file")
    with pytest.raises(Invalid, match="artifact_path"):
        client.log_artifact(run_id, tmp_path / "file", "../elsewhere")
    with pytest.raises(NotFound):
        client.log_artifact("0" * 32, tmp_path / "file")
    with pytest.raises(NotFound, match="missing"):
        client.download_artifacts(run_id, "missing", tmp_path)
    with pytest.raises(FileExistsError):
        client.download_artifacts(run_id, "", tmp_path / "file")
    with pytest.raises(Unsupported, match="s3://"):
        client.download_uri("s3://bucket/a")
    client.log_artifact(run_id, tmp_path / "file")
    with pytest.raises(FailedPrecondition, match="file"):
        client.log_text(run_id, "", "file/below")


def test_a_file_that_may_not_be_read(rekam_tracking_uri: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("")
    secret.chmod(0)
    out, _ = program(
        rekam_tracking_uri,
        tmp_path / "spool",
        f"""
        with rekam.start_run() as run:
            if os.geteuid() == 0:
                os.seteuid(65534)
            try:
                run.log_artifact({str(secret)!r})
            except PermissionError as error:
                print(error)
            os.seteuid(os.getuid())
            print(run.list_artifacts())
        """,
    ).finish()
    assert "Permission denied" in out.splitlines()[0]
    assert out.splitlines()[1] == "[]"


def test_the_same_bytes_are_stored_once(client: Client, run_id: str, tmp_path: Path) -> None:
    other = client.create_run("0").info.run_id
    file = fill(tmp_path / "x", MIB)
    client.log_artifact(run_id, file)
    client.log_artifact(run_id, file, "again")
    client.log_artifact(other, file)
    places = [(run_id, "x"), (run_id, "again/x"), (other, "x")]
    assert len({stored(client, *place).object_key for place in places}) == 1
    # Who downloads it into a place that has it already fetches nothing: the file stays the same.
    place = Path(client.download_artifacts(run_id, "x", tmp_path / "d"))
    before = place.stat()
    client.download_artifacts(run_id, "x", tmp_path / "d")
    assert place.stat().st_ino == before.st_ino
    place.write_bytes(b"other")
    client.download_artifacts(run_id, "x", tmp_path / "d")
    assert place.read_bytes() == file.read_bytes()


# ---- what programs have in memory ----


def test_figures_images_tables_and_dictionaries(rekam_tracking_uri: str, tmp_path: Path) -> None:
    out, _ = program(
        rekam_tracking_uri,
        tmp_path,
        """
        import numpy, pandas, PIL.Image
        from matplotlib.figure import Figure

        with rekam.start_run() as run:
            figure = Figure()
            figure.add_subplot().plot([1, 2, 3])
            rekam.log_figure(figure, "plots/roc.png", save_kwargs={"dpi": 20})
            pixels = numpy.arange(12, dtype="uint8").reshape(2, 2, 3)
            rekam.log_image(pixels, "still.png")
            rekam.log_image(PIL.Image.fromarray(pixels), key="val/dog", step=3, timestamp=1700000000000)
            rekam.log_dict({"a": 1}, "config.yaml")
            rekam.log_dict({"a": 1}, "config.json")
            rekam.log_table({"question": ["é", "b"], "score": [0.1 + 0.2, float("nan")]}, "eval/t.json")
            rekam.log_table(pandas.DataFrame({"question": ["c"], "more": [1]}), "eval/t.json")
            rekam.log_table({"picture": [rekam.Image(pixels)]}, "eval/p.json")

        uri = rekam.get_run(run.run_id).info.artifact_uri
        assert rekam.artifacts.load_image(uri + "/plots/roc.png").size == (128, 96)
        assert (numpy.array(rekam.artifacts.load_image(uri + "/still.png")) == pixels).all()
        assert rekam.artifacts.load_dict(f"runs:/{run.run_id}/config.json") == {"a": 1}
        assert rekam.artifacts.load_text(uri + "/config.yaml") == "a: 1\\n"
        frame = rekam.load_table("eval/t.json", extra_columns=["run_id"])
        assert list(frame["question"]) == ["é", "b", "c"], frame
        assert frame["score"][0] == 0.1 + 0.2 and frame["score"].isna().tolist() == [False, True, True]
        assert set(frame["run_id"]) == {run.run_id}
        (cell,) = rekam.load_table("eval/p.json", run_ids=[run.run_id])["picture"]
        assert (numpy.array(rekam.artifacts.load_image(f"{uri}/{cell['filepath']}")) == pixels).all()
        names = [each.path for each in rekam.list_artifacts(run_id=run.run_id, artifact_path="images")]
        tags = rekam.get_run(run.run_id).data.tags
        print(json.dumps([names, tags["mlflow.loggedImages"], json.loads(tags["mlflow.loggedArtifacts"])]))
        """,
    ).finish()
    names, images, tables = json.loads(out.splitlines()[-1])
    assert images == "True"
    assert tables == [{"path": f"eval/{name}.json", "type": "table"} for name in "tp"]
    assert [name.endswith(end) for name, end in zip(names, ("+compressed.webp", ".png"), strict=True)] == [
        True,
        True,
    ]
    assert all(name.startswith("images/val~dog+step+3+timestamp+1700000000000+") for name in names)


def test_a_forked_child_logs_and_reads_files(rekam_tracking_uri: str, tmp_path: Path) -> None:
    fill(tmp_path / "x", 40 * MIB)
    out, _ = program(
        rekam_tracking_uri,
        tmp_path / "spool",
        f"""
        import hashlib, pathlib
        with rekam.start_run() as run:
            child = os.fork()
            if child == 0:
                rekam.log_artifact({str(tmp_path / "x")!r}, "by/child")
                place = rekam.download_artifacts(run_id=run.run_id, artifact_path="by/child/x")
                print(hashlib.sha256(pathlib.Path(place).read_bytes()).hexdigest(), flush=True)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            print(run.list_artifacts("by/child")[0].digest)
        """,
    ).finish()
    came, listed = out.split()
    assert came == listed


# ---- lineage ----


def test_a_run_that_downloads_a_file_has_used_it(client: Client, run_id: str, tmp_path: Path) -> None:
    client.log_text(run_id, "weights", "model/w.bin")
    out, _ = program(
        client.tracking_uri,
        tmp_path,
        f"""
        with rekam.start_run() as run:
            rekam.log_text("mine", "mine.txt")
            rekam.download_artifacts(run_id={run_id!r}, artifact_path="model")
            rekam.download_artifacts(run_id=run.run_id, artifact_path="mine.txt")
        print(run.run_id)
        """,
    ).finish()
    user = out.strip()
    edges = [(edge.kind, edge.path.rpartition("/")[2]) for edge in client.get_lineage(run_id=user)]
    assert edges == [("PRODUCED", "mine.txt"), ("USED", "w.bin")]
    where = client.get_lineage(artifact_uri=f"runs:/{run_id}/model/w.bin")
    assert {(edge.kind, edge.owner) for edge in where} == {("PRODUCED", run_id), ("USED", user)}


def test_what_a_run_logged_as_a_model_is_among_its_files(client: Client, run_id: str, tmp_path: Path) -> None:
    model = client.create_logged_model("0", "forest", source_run_id=run_id)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    folder = model.artifact_location.partition(":/")[2]
    with Progress("") as progress:
        uploader = Uploader(client._server, folder, settings.current(), 60, progress)
        uploader.send(local.find_all(tmp_path / "model"))
    for uri in (f"runs:/{run_id}/forest", f"models:/{model.model_id}"):
        assert [each.path.rpartition("/")[2] for each in client.list_uri(uri)] == ["MLmodel"]
    place = client.download_uri(f"runs:/{run_id}/forest/MLmodel", tmp_path / "back")
    assert Path(place).read_text() == "flavors: {}"
    assert client.list_artifacts(run_id) == client.list_artifacts(run_id, "other") == []
    assert [edge.kind for edge in client.get_lineage(model_id=model.model_id)] == ["CONTAINED"]


# ---- interruptions ----


def uploads(spool: Path) -> Iterator[str]:
    """Ids of the uploads that are remembered."""
    for file in (spool / ".uploads").glob("*"):
        yield file.read_text()


def test_an_upload_goes_on_where_its_program_was_killed(client: Client, run_id: str, tmp_path: Path) -> None:
    file, spool = fill(tmp_path / "large.bin", LARGE), tmp_path / "spool"
    source = f"rekam.Client().log_artifact({run_id!r}, {str(file)!r})"
    first = program(client.tracking_uri, spool, source, REKAM_TRANSFERS="1")

    def begun() -> list[int]:
        for upload_id in uploads(spool):
            upload = client._server.artifacts.GetUpload(artifact_pb2.GetUploadRequest(upload_id=upload_id))
            return [part.number for part in upload.uploaded]
        return []

    until("a part is there", begun)
    first.process.send_signal(signal.SIGKILL)
    first.process.communicate()
    assert client.list_artifacts(run_id) == []
    (upload_id,) = uploads(spool)
    there = begun()
    assert there
    # A file of another name needs another upload; what is there of this one stays.
    again = program(client.tracking_uri, spool, source)
    again.finish()
    assert list(uploads(spool)) == []
    (listed,) = client.list_artifacts(run_id)
    assert listed.file_size == LARGE
    with pytest.raises(NotFound):
        client._call(client._server.artifacts.GetUpload, artifact_pb2.GetUploadRequest(upload_id=upload_id))
    place = client.download_artifacts(run_id, "large.bin", tmp_path / "back")
    assert subprocess.run(["cmp", str(file), place], check=False).returncode == 0


@pytest.mark.parametrize("direct", ["0", "1"])
def test_a_download_goes_on_where_its_program_was_killed(
    client: Client, run_id: str, tmp_path: Path, direct: str
) -> None:
    file, to = fill(tmp_path / "large.bin", LARGE), tmp_path / "to"
    client.log_artifact(run_id, file)
    source = f"rekam.Client().download_artifacts({run_id!r}, 'large.bin', {str(to)!r})"
    first = program(client.tracking_uri, tmp_path / "spool", source, REKAM_DIRECT_TRANSFERS=direct)
    part = until("bytes have come", lambda: next((p for p in to.glob(".*.part") if p.stat().st_size), None))
    first.process.send_signal(signal.SIGKILL)
    first.process.communicate()
    assert not (to / "large.bin").exists()
    inode = part.stat().st_ino
    program(client.tracking_uri, tmp_path / "spool", source, REKAM_DIRECT_TRANSFERS=direct).finish()
    # It is the file that the first one began.
    assert (to / "large.bin").stat().st_ino == inode
    assert (to / "large.bin").read_bytes() == file.read_bytes()
    assert [each.name for each in to.iterdir()] == ["large.bin"]


def test_what_lies_in_a_part_is_not_believed(client: Client, run_id: str, tmp_path: Path) -> None:
    client.log_text(run_id, "right", "x.txt")
    digest = str(client.list_artifacts(run_id)[0].digest)
    for wrong in (b"wro", b"wrong", b"much too long"):
        part_of(tmp_path / "x.txt", digest).write_bytes(wrong)
        assert Path(client.download_artifacts(run_id, "x.txt", tmp_path)).read_bytes() == b"right"
        assert [each.name for each in tmp_path.iterdir()] == ["x.txt"]
        (tmp_path / "x.txt").unlink()


def test_transfers_outlive_their_gateway(mortal_stack: LocalStack, tmp_path: Path) -> None:
    faults, uri = Faults(mortal_stack), mortal_stack.tracking_uri
    logged = tmp_path / "logged"
    logged.mkdir()
    for number in range(300):
        (logged / f"{number}.txt").write_text(f"file {number} of {os.urandom(8).hex()}")
    fill(logged / "large.bin", 80 * MIB)
    run_id = Client(uri).create_run("0").info.run_id
    for direct, verb in (("0", "up"), ("0", "down"), ("1", "down")):
        to = tmp_path / f"{verb}{direct}"
        source = (
            f"rekam.Client().log_artifacts({run_id!r}, {str(logged)!r})"
            if verb == "up"
            else f"rekam.Client().download_artifacts({run_id!r}, '', {str(to)!r})"
        )
        working = program(
            uri, tmp_path / "spool", f"print('go', flush=True)\n{source}", REKAM_DIRECT_TRANSFERS=direct
        )
        working.line()
        for _ in range(2):
            before = faults.pids()
            faults.kill("gateway")
            faults.all_ready({"gateway": before["gateway"]})
        working.finish(timeout=120)
        if verb == "down":
            assert tree(to) == tree(logged)


# ---- without a server ----


def sync(spool: Path, *arguments: str) -> list[dict[str, Any]]:
    done = rekam("sync", "--dir", spool, "--json", *arguments)
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_files_of_an_offline_run_are_delivered_later(client: Client, tmp_path: Path) -> None:
    spool, file = tmp_path / "spool", fill(tmp_path / "x.bin", 2 * MIB)
    data = file.read_bytes()
    out, _ = program(
        client.tracking_uri,
        spool,
        f"""
        import numpy
        with rekam.start_run() as run:
            rekam.log_artifact({str(file)!r}, "a")
            rekam.log_text("first", "note.txt")
            rekam.log_text("second", "note.txt")
            rekam.log_image(numpy.zeros((2, 2)), key="k")
            rekam.flush()
        print(run.run_id)
        """,
        REKAM_OFFLINE="1",
    ).finish()
    run_id = out.strip()
    # What is logged is what the file was then.
    file.write_bytes(b"other")
    (listed,) = sync(spool, "--list")
    assert (listed["files"], listed["runs"]) == (5, [run_id])
    (delivered,) = sync(spool)
    assert (delivered["files_delivered"], delivered["files_left"]) == (5, 0)
    assert [each for each in spool.iterdir() if each.name[0] != "."] == []
    place = Path(client.download_artifacts(run_id, "", tmp_path / "back"))
    assert (place / "a" / "x.bin").read_bytes() == data
    assert (place / "note.txt").read_text() == "second"
    assert len(list((place / "images").iterdir())) == 2
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"


def test_files_that_wait_are_bounded(client: Client, tmp_path: Path) -> None:
    file = fill(tmp_path / "x.bin", 3 * MIB)
    out, _ = program(
        client.tracking_uri,
        tmp_path / "spool",
        f"""
        with rekam.start_run():
            rekam.log_artifact({str(file)!r}, "a")
            try:
                rekam.log_artifact({str(file)!r}, "b")
            except rekam.errors.SpoolError as error:
                print(error)
        """,
        REKAM_OFFLINE="1",
        REKAM_SPOOL_BYTES=str(4 * MIB),
    ).finish()
    assert "x.bin has 3145728 bytes" in out
    assert "REKAM_SPOOL_BYTES" in out
    (delivered,) = sync(tmp_path / "spool")
    assert delivered["files_delivered"] == 1


def test_what_the_server_refuses_later_stays_for_people(client: Client, run_id: str, tmp_path: Path) -> None:
    client.log_text(run_id, "in the way", "a")
    program(
        client.tracking_uri,
        tmp_path / "spool",
        f"""
        with rekam.start_run(run_id={run_id!r}):
            rekam.log_text("below", "a/b.txt")
            rekam.log_text("beside", "c.txt")
        """,
        REKAM_OFFLINE="1",
    ).finish()
    done = rekam("sync", "--dir", tmp_path / "spool", "--json")
    (result,) = json.loads(done.stdout)
    assert (done.returncode, result["files_delivered"], len(result["refusals"])) == (1, 1, 1)
    assert "a/b.txt" in result["refusals"][0]
    assert [each.path for each in client.list_artifacts(run_id)] == ["a", "c.txt"]
    (listed,) = sync(tmp_path / "spool", "--list")
    assert (listed["files"], listed["damaged"]) == (0, 1)


def test_files_wait_while_the_server_is_away(mortal_stack: LocalStack, tmp_path: Path) -> None:
    faults, client = Faults(mortal_stack), Client(mortal_stack.tracking_uri)
    with faults.gone("gateway"):
        working = program(
            mortal_stack.tracking_uri,
            tmp_path / "spool",
            """
            with rekam.start_run() as run:
                rekam.log_text("kept", "note.txt")
                print(run.run_id, flush=True)
                sys.stdin.readline()
                rekam.flush()
                print(rekam.artifacts.load_text(f"runs:/{run.run_id}/note.txt"), flush=True)
            """,
            REKAM_CONNECT_TIMEOUT="0.5",
        )
        run_id = working.line()
    faults.all_ready()
    working.go_on()
    assert working.line() == "kept"
    working.finish()
    assert [each.path for each in client.list_artifacts(run_id)] == ["note.txt"]
    assert [each for each in (tmp_path / "spool").iterdir() if each.name[0] != "."] == []


# ---- the command line ----


def cli(uri: str, *arguments: str | Path) -> Any:
    done = rekam("artifacts", *arguments, "--uri", uri, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_line(client: Client, run_id: str, tmp_path: Path) -> None:
    uri = client.tracking_uri
    (tmp_path / "x.txt").write_text("x")
    assert cli(uri, "upload", run_id, tmp_path / "x.txt", "--to", "a")["artifact_uri"].endswith(
        "/artifacts/a"
    )
    assert [each["path"] for each in cli(uri, "list", run_id)] == ["a"]
    assert [each["path"] for each in cli(uri, "list", f"runs:/{run_id}", "-r")] == ["a/x.txt"]
    place = cli(uri, "download", run_id, "a/x.txt", "--to", tmp_path / "d")["path"]
    assert Path(place).read_text() == "x"
    assert [edge["kind"] for edge in cli(uri, "lineage", run_id)] == ["PRODUCED"]
    assert [edge["owner"] for edge in cli(uri, "lineage", run_id, "a/x.txt")] == [run_id]
    cli(uri, "delete", run_id, "a")
    assert cli(uri, "list", run_id) == []
    assert "blobs" in cli(uri, "collect", "--dry-run")


def test_exit_codes_of_the_command_line(client: Client, run_id: str, tmp_path: Path) -> None:
    uri = client.tracking_uri
    missing = rekam("artifacts", "upload", run_id, tmp_path / "missing", "--uri", uri)
    assert (missing.returncode, "missing" in missing.stderr) == (1, True)
    assert rekam("artifacts", "download", run_id, "missing", "--to", tmp_path, "--uri", uri).returncode == 1
    assert rekam("artifacts", "delete", run_id, "--uri", uri).returncode == 2
