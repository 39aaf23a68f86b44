"""The SDK and the command line on the real stack: what is logged is read back, by every way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import Program


def run(uri: str, spool: Path, source: str) -> Any:
    """The JSON document that a program prints last."""
    out, _ = Program(uri, spool, source).finish()
    return json.loads(out.splitlines()[-1])


def cli(uri: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from rekam.cli import main; main()", *arguments, "--uri", uri],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_run_is_read_back_by_sdk_and_command_line(rekam_tracking_uri: str, tmp_path: Path) -> None:
    found = run(
        rekam_tracking_uri,
        tmp_path,
        """
        experiment = rekam.set_experiment("Ünïcode 'quoted' \\"name\\"")
        with rekam.start_run(run_name="one", description="what it is", tags={"team": "a"}) as run:
            rekam.log_params({"depth": 5, "name": "x'y\\"z"})
            for step in range(1000):
                rekam.log_metrics({"loss": 1 / (step + 1), "acc": step / 1000}, step=step)
            rekam.log_metric("odd", float("nan"), step=-(2**62))
            rekam.log_metric("odd", float("inf"), step=2**62)
            rekam.log_metric("odd", float("-inf"), step=0)
            # Queries of this process see what it just logged.
            assert rekam.get_run(run.run_id).data.metrics["loss"] == 0.001
            assert rekam.get_run(run.run_id).info.status == "RUNNING"
        client = rekam.Client()
        history = client.get_history(run.run_id, "loss")
        assert list(history.steps) == list(range(1000))
        assert list(history.values) == [1 / (step + 1) for step in range(1000)]
        assert [m.step for m in rekam.get_metric_history(run.run_id, "odd")] == [-(2**62), 2**62, 0]
        (buckets,) = client.get_buckets([run.run_id], ["loss"], 10)
        assert sum(buckets.count) == 1000 and max(buckets.max) == 1.0
        blocks = list(client.stream_history([run.run_id], ["acc", "loss"], steps=(10, 19)))
        assert [(block.key, len(block)) for block in blocks] == [("acc", 10), ("loss", 10)]
        (writer,) = client.get_completeness(run.run_id)
        assert writer.gaps == () and writer.complete_up_to == writer.greatest
        assert client.get_history(run.run_id, "loss", writer=writer.writer, steps=(0, 9)).steps[-1] == 9
        names = {each.key: each.points for each in client.list_metrics(run.run_id)}
        assert names == {"acc": 1000, "loss": 1000, "odd": 3}
        frame = rekam.search_runs(
            experiment_names=[experiment.name], filter_string="metrics.acc > 0.9 and params.depth = '5'"
        )
        read = rekam.last_active_run()
        print(json.dumps({
            "run_id": run.run_id, "experiment_id": experiment.experiment_id,
            "columns": list(frame.columns), "rows": len(frame), "loss": frame["metrics.loss"][0],
            "status": read.info.status, "name": read.info.run_name, "params": read.data.params,
            "tags": read.data.tags, "artifact_uri": read.info.artifact_uri,
        }))
        """,
    )
    assert found["columns"][:6] == [
        "run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time",
    ]  # fmt: skip
    assert {"metrics.loss", "metrics.acc", "params.depth", "tags.team"} < set(found["columns"])
    assert (found["rows"], found["loss"], found["status"], found["name"]) == (1, 0.001, "FINISHED", "one")
    assert found["params"] == {"depth": "5", "name": "x'y\"z"}
    assert found["tags"]["mlflow.note.content"] == "what it is"
    assert found["artifact_uri"].endswith(f"{found['run_id']}/artifacts")

    run_id = found["run_id"]
    code, out, _ = cli(rekam_tracking_uri, "runs", "show", run_id, "--json")
    assert code == 0
    assert json.loads(out)["data"]["metrics"]["odd"] == "Infinity"
    code, out, _ = cli(
        rekam_tracking_uri, "runs", "list", "--filter", "metrics.acc > 0.9", "--metric", "loss"
    )
    assert code == 0
    assert run_id in out
    code, out, _ = cli(rekam_tracking_uri, "metrics", "history", run_id, "loss", "--to-step", "2", "--json")
    assert [point["value"] for point in json.loads(out)] == [1.0, 0.5, 1 / 3]
    code, out, _ = cli(rekam_tracking_uri, "metrics", "buckets", run_id, "acc", "--buckets", "4", "--json")
    assert json.loads(out)[0]["count"] == [250, 250, 250, 250]
    code, out, _ = cli(rekam_tracking_uri, "experiments", "list", "--json")
    assert {each["name"] for each in json.loads(out)} == {"Default", "Ünïcode 'quoted' \"name\""}


def test_experiments_live_and_die_on_the_command_line(rekam_tracking_uri: str, tmp_path: Path) -> None:
    code, out, _ = cli(rekam_tracking_uri, "experiments", "create", "first")
    assert code == 0
    experiment_id = out.strip()
    code, _, err = cli(rekam_tracking_uri, "experiments", "create", "first")
    assert code == 1
    assert "first" in err
    assert cli(rekam_tracking_uri, "experiments", "rename", experiment_id, "second")[0] == 0
    assert cli(rekam_tracking_uri, "experiments", "delete", experiment_id)[0] == 0
    assert cli(rekam_tracking_uri, "experiments", "delete", experiment_id)[0] == 1
    _, out, _ = cli(rekam_tracking_uri, "experiments", "show", experiment_id, "--json")
    assert json.loads(out)["lifecycle_stage"] == "deleted"
    says = run(
        rekam_tracking_uri,
        tmp_path,
        f"""
        try:
            rekam.set_experiment("second")
        except rekam.errors.FailedPrecondition as error:
            by_name = str(error)
        try:
            rekam.start_run(experiment_id="{experiment_id}")
        except rekam.errors.RefusedRecords as error:
            by_id = error.refusals[0].code
        print(json.dumps([by_name, by_id]))
        """,
    )
    assert "deleted" in says[0]
    assert says[1] == "FAILED_PRECONDITION"
    assert cli(rekam_tracking_uri, "experiments", "restore", experiment_id)[0] == 0
    assert cli(rekam_tracking_uri, "experiments", "show", "second", "--by-name")[0] == 0


@pytest.mark.parametrize("wrong", ["metrics.loss >< 1", "params.x = 5", "nothing.a = 'b'"])
def test_a_wrong_filter_is_pointed_at(rekam_tracking_uri: str, wrong: str) -> None:
    code, _, err = cli(rekam_tracking_uri, "runs", "list", "--filter", wrong)
    assert code == 1
    assert "^" in err


def test_runs_that_are_missing_or_deleted(rekam_tracking_uri: str, tmp_path: Path) -> None:
    says = run(
        rekam_tracking_uri,
        tmp_path,
        """
        said = []
        def attempt(action):
            try:
                action()
            except rekam.errors.RekamError as error:
                said.append([type(error).__name__, error.field])
        attempt(lambda: rekam.get_run("0" * 32))
        attempt(lambda: rekam.get_run("nonsense"))
        attempt(lambda: rekam.start_run(run_id="0" * 32))
        client = rekam.Client()
        with rekam.start_run() as run:
            rekam.log_param("p", 1)
        attempt(lambda: client.log_param(run.run_id, "p", 2))
        attempt(lambda: client.delete_tag(run.run_id, "never set"))
        attempt(lambda: client.search_runs(["0"], max_results=0))
        client.delete_run(run.run_id)
        assert client.get_run(run.run_id).info.lifecycle_stage == "deleted"
        attempt(lambda: rekam.start_run(run_id=run.run_id))
        attempt(lambda: client.set_tag(run.run_id, "a", 1))
        client.log_metric(run.run_id, "loss", 1.0)
        attempt(lambda: client.flush())
        client.restore_run(run.run_id)
        client.log_metric(run.run_id, "loss", 2.0, step=1)
        client.flush()
        said.append(client.get_run(run.run_id).data.metrics)
        print(json.dumps(said))
        """,
    )
    assert [each[0] for each in says[:-1]] == [
        "NotFound", "Invalid", "NotFound", "Invalid", "NotFound", "Invalid",
        "FailedPrecondition", "FailedPrecondition", "RefusedRecords",
    ]  # fmt: skip
    assert says[1][1] == "run_id"
    assert says[-1] == {"loss": 2.0}


def test_forked_workers_start_runs_and_search(rekam_tracking_uri: str, tmp_path: Path) -> None:
    found = run(
        rekam_tracking_uri,
        tmp_path,
        """
        import multiprocessing

        def trial(number):
            with rekam.start_run(run_name=f"trial {number}", nested=True):
                rekam.log_metric("score", number)
            return len(rekam.search_runs(filter_string=f"run_name = 'trial {number}'", output_format="list"))

        rekam.set_experiment("Trials")
        with rekam.start_run(run_name="parent") as parent:
            with multiprocessing.get_context("fork").Pool(2) as pool:
                seen = pool.map(trial, range(4))
                pool.close()
                pool.join()
        best = rekam.search_runs(order_by=["metrics.score DESC"], output_format="list")
        children = [each.data.tags.get("mlflow.parentRunId") == parent.run_id for each in best]
        print(json.dumps([seen, [each.info.run_name for each in best], children]))
        """,
    )
    seen, names, children = found
    assert seen == [1, 1, 1, 1]
    assert names == ["trial 3", "trial 2", "trial 1", "trial 0", "parent"]
    assert children == [True, True, True, True, False]


def test_what_a_run_records_by_itself_is_read_back(rekam_tracking_uri: str, tmp_path: Path) -> None:
    found = run(
        rekam_tracking_uri,
        tmp_path,
        """
        rekam.set_system_metrics_sampling_interval(0.2)
        client = rekam.Client()
        try:
            with rekam.start_run() as run:
                print("epoch 1\\x00 \\x1b[1mbold\\x1b[0m")
                for percent in range(101):
                    print(f"\\r{percent}%", end="", file=sys.stderr)
                print(file=sys.stderr)
                while len(client.get_history(run.run_id, "system/cpu_utilization_percentage").steps) < 2:
                    time.sleep(0.05)
                raise ValueError("why")
        except ValueError:
            pass
        texts = {name: client.get_text(run.run_id, name) for name in ("stdout", "stderr", "git.diff")}
        stored = client.get_run(run.run_id)
        print(json.dumps({
            "status": stored.info.status,
            "texts": {name: [line.text for line in lines] for name, lines in texts.items()},
            "writers": sorted({line.writer for lines in texts.values() for line in lines}),
            "writer": run.writer,
            "tags": stored.data.tags,
            "keys": [each.key for each in client.list_metrics(run.run_id)],
            "steps": client.get_history(run.run_id, "system/cpu_utilization_percentage").steps.tolist(),
        }))
        """,
    )
    assert found["status"] == "FAILED"
    assert found["texts"]["stdout"] == ["epoch 1\x00 \x1b[1mbold\x1b[0m"]
    assert found["texts"]["stderr"][0] == "100%"
    assert found["texts"]["stderr"][-1] == "ValueError: why"
    assert found["writers"] == [found["writer"]]
    assert found["steps"][:2] == [0, 1]
    assert all(key.startswith("system/") for key in found["keys"])
    # The tests run from a working tree, or from an archive of one.
    assert ("mlflow.source.git.commit" in found["tags"]) == (Path(__file__).parents[2] / ".git").exists()


def test_datasets_that_a_run_reads_are_found_again(rekam_tracking_uri: str, tmp_path: Path) -> None:
    found = run(
        rekam_tracking_uri,
        tmp_path,
        """
        from rekam.data import Dataset
        from rekam.errors import Invalid

        prices = Dataset.from_file(rekam.__file__, "prices")
        with rekam.start_run() as run:
            for _ in range(2):
                rekam.log_input(prices, "training", tags={"split": 1}, model_id="m-1")
            rekam.log_inputs([Dataset("b", "1"), Dataset("a", "1")], contexts=["eval", None])
            rekam.log_outputs([rekam.ModelOutput("m-2", 7)])
        try:
            rekam.log_inputs([prices], contexts=[])
        except Invalid as error:
            assert error.field == "datasets"
        client = rekam.Client()
        client.log_outputs(run.run_id, [rekam.ModelOutput("m-2", 8)])
        client.log_inputs(run.run_id, [rekam.DatasetInput(Dataset("c", "1"))])
        got = client.get_run(run.run_id)
        assert got.inputs.dataset_inputs[3].dataset == prices
        assert got.outputs.model_outputs == (rekam.ModelOutput("m-2", 7),)
        (searched,) = client.search_runs(
            [got.info.experiment_id], "datasets.name = 'prices' AND datasets.context = 'training'"
        )
        assert searched.inputs.dataset_inputs == got.inputs.dataset_inputs
        summaries = client.search_datasets([got.info.experiment_id])
        assert [(each.name, each.context) for each in summaries] == [
            ("a", None), ("b", "eval"), ("c", None), ("prices", "training")
        ]
        inputs = [(each.dataset.name, each.tags) for each in got.inputs.dataset_inputs]
        print(json.dumps([inputs, got.inputs.model_inputs]))
        """,
    )
    assert found == [
        [
            ["a", {}],
            ["b", {"mlflow.data.context": "eval"}],
            ["c", {}],
            ["prices", {"mlflow.data.context": "training", "split": "1"}],
        ],
        ["m-1"],
    ]
    code, out, _ = cli(rekam_tracking_uri, "datasets", "0")
    assert code == 0
    assert out.splitlines()[2].split() == ["0", "b", "1", "eval"]


def test_a_logged_model_through_its_life(rekam_tracking_uri: str, tmp_path: Path) -> None:
    assert run(
        rekam_tracking_uri,
        tmp_path,
        """
        from rekam.data import Dataset
        from rekam.errors import Invalid, NotFound

        client = rekam.Client()
        model = client.create_logged_model("0", "forest", tags={"team": "a"}, params={"depth": 5})
        assert (model.status, model.source_run_id, model.params) == ("PENDING", None, {"depth": "5"})
        client.log_model_params(model.model_id, {"lr": 0.1})
        client.set_logged_model_tags(model.model_id, {"note": 1})
        client.delete_logged_model_tag(model.model_id, "team")
        assert client.finalize_logged_model(model.model_id).status == "READY"
        measured = {"acc": 0.5, "loss": float("inf")}
        dataset = Dataset("d", "1")
        for _ in range(2):
            client.log_model_metrics(model.model_id, measured, 1, step=7, dataset=dataset, run_id="f" * 32)
        got = client.get_logged_model(model.model_id)
        assert [(each.key, each.value, each.step, each.time_us) for each in got.metrics] == [
            ("acc", 0.5, 7, 1000), ("loss", float("inf"), 7, 1000)
        ]
        assert {(each.dataset_name, each.dataset_digest, each.run_id) for each in got.metrics} == {
            ("d", "1", "f" * 32)
        }
        assert (got.tags, got.params["lr"], got.name) == ({"note": "1"}, "0.1", "forest")
        other = client.create_logged_model("0", "forest")
        page = client.search_logged_models(
            ["0"], "name = 'forest'", max_results=1, order_by=[{"field_name": "status", "ascending": False}]
        )
        assert page == [got] and page.token
        assert client.search_logged_models(["0"], datasets=[{"dataset_name": "d"}]) == [got]
        client.delete_logged_model(model.model_id)
        assert client.search_logged_models(["0"]) == [other]
        try:
            client.get_logged_model(model.model_id)
        except NotFound:
            gone = client.get_logged_model(model.model_id, allow_deleted=True)
        try:
            client.finalize_logged_model(other.model_id, "DONE")
        except Invalid as error:
            print(json.dumps([gone.lifecycle_stage, error.field]))
        """,
    ) == ["deleted", "status"]
    code, out, _ = cli(rekam_tracking_uri, "models", "logged", "--json", "--order-by", "name DESC")
    assert code == 0
    (model,) = json.loads(out)
    assert (model["name"], model["status"]) == ("forest", "PENDING")
    model_id = model["model_id"]
    code, out, _ = cli(rekam_tracking_uri, "models", "logged", "--filter", "name = forest")
    assert out.splitlines()[1].split()[:4] == [model_id, "forest", "0", "PENDING"]
    assert cli(rekam_tracking_uri, "models", "delete", model_id) == (0, f"model {model_id} deleted\n", "")
    code, out, _ = cli(rekam_tracking_uri, "models", "show", model_id)
    assert "stage          deleted" in out
    missing = f"m-{'0' * 32}"
    code, _, error = cli(rekam_tracking_uri, "models", "show", missing)
    assert (code, error) == (1, f"Error: model_id: Logged model with ID '{missing}' not found.\n")
