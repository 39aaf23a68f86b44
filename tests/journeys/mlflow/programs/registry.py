"""What MlflowClient does with registered models and versions: what they hold, when it changes, what stays."""

import json
import sys
import time
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
told = {}


def of_model(model):
    """What is the same in every run, of a model."""
    return {
        "name": model.name,
        "description": model.description,
        "tags": model.tags,
        "aliases": {alias: str(version) for alias, version in model.aliases.items()},
        "latest": sorted([version.current_stage, str(version.version)] for version in model.latest_versions),
    }


def of(version):
    """The same, of a version."""
    return {
        "name": version.name,
        "version": str(version.version),
        "stage": version.current_stage,
        "source": version.source,
        "run": version.run_id,
        "run's link": version.run_link,
        "description": version.description,
        "status": [version.status, version.status_message],
        "tags": version.tags,
        "aliases": sorted(version.aliases),
    }


# A model, with all that it can have and with nothing.
told["created"] = of_model(client.create_registered_model("full", {"team": "prices", "n": 7}, "All of it."))
told["created bare"] = of_model(client.create_registered_model("bare"))
for name in ("With space", "naïve-模型", "dots.and_more", "n" * 256):
    told[f"named {name[:20]}"] = client.create_registered_model(name).name == name
told["versions"] = [
    of(
        client.create_model_version(
            "full",
            "s3://models/first",
            "0123456789abcdef" * 2,
            tags={"checked": "yes", "n": 7},
            run_link="http://example.com/runs/7",
            description="The first.",
        )
    ),
    of(client.create_model_version("full", "s3://models/second")),
    of(client.create_model_version("full", "s3://models/third", description="")),
]
told["read"] = [of(client.get_model_version("full", version)) for version in ("1", 2, "3")]
told["model"] = of_model(client.get_registered_model("full"))

# What changes.
told["described"] = of_model(client.update_registered_model("full", "Described again."))
told["version described"] = of(client.update_model_version("full", "2", "The second."))
told["version not described"] = of(client.update_model_version("full", "2", ""))
client.set_registered_model_tag("full", "team", "houses")
client.set_registered_model_tag("full", "empty", "")
client.set_registered_model_tag("full", "n", 8)
client.delete_registered_model_tag("full", "n")
client.delete_registered_model_tag("full", "nobody")
client.set_model_version_tag("full", "1", "checked", "no")
client.set_model_version_tag("full", 1, "size", 3.5)
client.set_model_version_tag("full", "1", "words", "ä%_ 'so'\n")
client.set_model_version_tag("full", stage="None", key="by stage", value="yes")
client.delete_model_version_tag("full", "1", "n")
client.delete_model_version_tag("full", "1", "nobody")
told["tagged"] = [of_model(client.get_registered_model("full")), of(client.get_model_version("full", 1))]
told["tagged by stage"] = of(client.get_model_version("full", 3))
client.delete_model_version_tag("full", stage="None", key="by stage")

# Aliases: several of a version, one version of each.
for alias, version in {"champion": 1, "Champion": 2, "a-b_9": 1, "v1x": 3}.items():
    client.set_registered_model_alias("full", alias, version)
client.set_registered_model_alias("full", "a-b_9", "2")
told["aliases"] = [
    of_model(client.get_registered_model("full")),
    [of(client.get_model_version("full", version))["aliases"] for version in (1, 2, 3)],
    of(client.get_model_version_by_alias("full", "Champion")),
    str(client.get_model_version_by_alias("full", "latest").version),
    sorted(sorted(version.aliases) for version in client.get_latest_versions("full")),
]
client.delete_registered_model_alias("full", "a-b_9")
client.delete_registered_model_alias("full", "nobody")
told["aliases left"] = client.get_registered_model("full").aliases

# Stages, in any case; to where it is already; with and without the others archived.
for version, stage, archive in (
    (1, "Staging", False),
    (2, "STAGING", False),
    (3, "production", True),
    (2, "Staging", True),
    (2, "Production", False),
    (3, "None", False),
    (3, "Archived", False),
    (1, "Production", True),
):
    moved = client.transition_model_version_stage("full", version, stage, archive)
    told[f"{version} to {stage}{', the others archived' if archive else ''}"] = [
        of(moved)["stage"],
        [client.get_model_version("full", each).current_stage for each in (1, 2, 3)],
    ]
for stages in (None, [], ["Production"], ["archived", "None"], ["Staging"]):
    latest = client.get_latest_versions("full", stages)
    told[f"latest of {stages}"] = sorted([each.current_stage, str(each.version)] for each in latest)
told["stages there are"] = client.get_model_version_stages("full", "1")

# When the times of the model, its first version and its third are those of the last change.
client.create_registered_model("timed")
client.create_model_version("timed", "s3://models/1")
client.create_model_version("timed", "s3://models/2")
client.create_model_version("timed", "s3://models/3")
now = {"name": "timed"}


def times():
    name = now["name"]
    model = client.get_registered_model(name)
    versions = [client.get_model_version(name, version) for version in (1, 3)]
    return [each.last_updated_timestamp for each in (model, *versions)]


def touches(what, call, /, *arguments, **options):
    before = times()
    reached = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= reached + 1:
        pass
    call(now["name"], *arguments, **options)
    now["name"] = arguments[0] if call == client.rename_registered_model else now["name"]
    told[f"touched by {what}"] = [later > earlier for earlier, later in zip(before, times(), strict=True)]


touches("a version", client.create_model_version, "s3://models/4")
touches("the model's description", client.update_registered_model, "x")
touches("the version's description", client.update_model_version, "1", "x")
touches("the model's tag", client.set_registered_model_tag, "k", "v")
touches("the model's tag's end", client.delete_registered_model_tag, "k")
touches("the version's tag", client.set_model_version_tag, "1", "k", "v")
touches("the version's tag's end", client.delete_model_version_tag, "1", "k")
touches("an alias", client.set_registered_model_alias, "champion", "1")
touches("an alias's end", client.delete_registered_model_alias, "champion")
touches("a transition", client.transition_model_version_stage, "1", "Staging")
touches("an archiving transition", client.transition_model_version_stage, "3", "Staging", True)
touches("a version's end", client.delete_model_version, "2")
touches("a new name", client.rename_registered_model, "timed again")
model = client.get_registered_model("timed again")
first = client.get_model_version("timed again", 1)
told["created before it was updated"] = [
    model.creation_timestamp < model.last_updated_timestamp,
    first.creation_timestamp < first.last_updated_timestamp,
    model.creation_timestamp <= first.creation_timestamp,
]

# Renamed: all moves along, and the old name is free.
client.rename_registered_model("full", "other")
told["renamed"] = of_model(client.get_registered_model("other"))
told["of the new name"] = [of(client.get_model_version("other", version)) for version in (1, 2, 3)]
told["of the alias"] = of(client.get_model_version_by_alias("other", "champion"))
client.rename_registered_model("bare", "bare")
told["renamed to itself"] = of_model(client.get_registered_model("bare"))
told["of the old name"] = of_model(client.create_registered_model("full"))

# Deleted: numbers are not given again, unless the whole model was.
client.delete_model_version("other", "3")
told["after its last version"] = of_model(client.get_registered_model("other"))
told["next number"] = str(client.create_model_version("other", "s3://models/fourth").version)
client.delete_model_version("other", 1)
told["after its first version"] = of_model(client.get_registered_model("other"))
client.delete_registered_model("other")
try:
    client.get_model_version("other", 2)
except MlflowException as error:
    told["of a deleted model"] = error.error_code
told["created again"] = of_model(client.create_registered_model("other"))
told["its first number"] = of(client.create_model_version("other", "s3://models/fifth"))

# Copied: all but stage and aliases.
client.create_registered_model("source")
version = client.create_model_version(
    "source",
    "s3://models/1",
    "0123456789abcdef" * 2,
    {"k": "v"},
    "http://example.com/runs/7",
    "To be copied.",
)
client.transition_model_version_stage("source", version.version, "Production")
client.set_registered_model_alias("source", "champion", version.version)
told["copy"] = of(client.copy_model_version("models:/source/Production", "target"))
told["copy of the copy"] = of(client.copy_model_version("models:/target/1", "target"))
told["copies lie at"] = [client.get_model_version_download_uri("target", each) for each in ("1", "2")]

Path(sys.argv[1]).write_text(json.dumps(told))
