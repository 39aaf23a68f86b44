"""Filters, orders and pages of searches for registered models and for their versions."""

import json
import sys
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient

client = MlflowClient()
told = {}
run_ids = {"ada": "a" * 32, "bob": "b" * 32, "Capital": "C" * 32}

# name: (tags, versions: (run, source, tags, stage))
MODELS = {
    "apple": (
        {"team": "fruit", "size": "10"},
        [("ada", "s3://m/a1", {"k": "v"}, "Production"), (None, "s3://m/a2", {}, None)],
    ),
    "Apple": ({"team": "Fruit"}, [("bob", "s3://m/A1", {"k": "V", "has space": "x"}, None)]),
    "apricot": ({}, [("bob", "s3://n/a%_", {"k": "w", "k.with.dots": "1"}, "Staging")] * 11),
    "banana": ({"with space": "yes", "de-sh": "d", "note": 'it\'s "so"'}, []),
    "cherry%_": ({"team": "ä%_"}, [("Capital", "s3://n/c", {}, "Archived")]),
}
for name, (tags, versions) in MODELS.items():
    client.create_registered_model(name, tags)
    for run, source, version_tags, stage in versions:
        version = client.create_model_version(name, source, run_ids.get(run), version_tags)
        if stage:
            client.transition_model_version_stage(name, version.version, stage)


def tick():
    """Until the next millisecond, so that the orders of times are known."""
    reached = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= reached + 1:
        pass


for name in ("banana", "apple", "cherry%_", "Apple", "apricot"):
    tick()
    client.update_registered_model(name, f"of {name}")
for name, version in (("apricot", 10), ("apple", 1), ("Apple", 1), ("apricot", 2)):
    tick()
    client.update_model_version(name, version, "touched")
tick()
client.set_registered_model_alias("apple", "champion", 1)
client.delete_model_version("apricot", "3")
mlflow.genai.register_prompt("a-prompt", "Hello, {{name}}")


def models(filter_string=None, **options):
    found = client.search_registered_models(filter_string, **options)
    told[f"models: {filter_string} {options or ''}".strip()] = [model.name for model in found]


def versions(filter_string=None, **options):
    options = {"order_by": ["name ASC", "version_number ASC"], **options}
    found = client.search_model_versions(filter_string, **options)
    told[f"versions: {filter_string} {options}"] = [f"{each.name}/{each.version}" for each in found]


for filter_string in [
    None,
    "",
    "name = 'apple'",
    'name = "apple"',
    "name != 'apple'",
    "name LIKE 'ap%'",
    "name LIKE 'A%'",
    "name ILIKE 'AP%'",
    "name ilike '%an%'",
    "name LIKE '%e'",
    "name LIKE 'a__le'",
    "name IN ('apple', 'banana')",
    "name NOT IN ('apple', 'banana')",
    "attribute.name = 'apple'",
    "tags.team = 'fruit'",
    "tag.team = 'fruit'",
    "tags.team != 'fruit'",
    "tags.team LIKE 'f%'",
    "tags.team ILIKE 'F%'",
    "tags.team LIKE 'ä%'",
    "tags.`with space` = 'yes'",
    "tags.\"with space\" = 'yes'",
    "tags.`de-sh` = 'd'",
    "tags.size = '10'",
    "tags.note LIKE '%\"so\"%'",
    "tags.nobody = 'x'",
    "tags.nobody != 'x'",
    "name LIKE 'a%' AND tags.team = 'fruit'",
    "name LIKE 'a%' and tags.team ILIKE 'fruit' and tags.size = '10'",
    "tags.`mlflow.prompt.is_prompt` = 'true'",
    "tags.`mlflow.prompt.is_prompt` = 'false'",
]:
    models(filter_string)
for order_by in [
    ["name"],
    ["name ASC"],
    ["name DESC"],
    ["timestamp"],
    ["last_updated_timestamp DESC"],
    ["last_updated_timestamp ASC", "name DESC"],
    ["name DESC", "last_updated_timestamp ASC"],
]:
    models(order_by=order_by)

for filter_string in [
    None,
    "",
    "name = 'apple'",
    "name != 'apple'",
    "name LIKE 'ap%'",
    "name ILIKE 'AP%'",
    "name IN ('apple', 'Apple')",
    "attribute.name = 'apple'",
    "run_id = '" + run_ids["ada"] + "'",
    "run_id != '" + run_ids["bob"] + "'",
    "run_id LIKE 'a%'",
    f"run_id IN ('{run_ids['ada']}', '{run_ids['bob']}')",
    f"run_id IN ('{run_ids['Capital']}')",
    "source_path = 's3://m/a1'",
    "source_path LIKE 's3://m/%'",
    "source_path ILIKE 'S3://M/A1'",
    "source_path != 's3://m/a1'",
    "version_number = 1",
    "version_number = '1'",
    "version_number > 9",
    "version_number >= 10",
    "version_number < 2",
    "version_number <= 2",
    "version_number != 1",
    "tags.k = 'v'",
    "tag.k != 'v'",
    "tags.k LIKE 'v'",
    "tags.k ILIKE 'v'",
    "tags.`has space` = 'x'",
    "tags.k.with.dots = '1'",
    "tags.nobody = 'x'",
    "name = 'apricot' AND version_number > 9",
    "name LIKE 'ap%' AND",
    "name ILIKE 'apple' and tags.k ILIKE 'v' and version_number = 1",
    "name = 'a-prompt'",
    "name = 'a-prompt' AND tags.`mlflow.prompt.is_prompt` = 'true'",
]:
    versions(filter_string)
for order_by in [
    ["name DESC", "version_number DESC"],
    ["name"],
    ["version_number DESC", "name"],
    ["version_number"],
    ["creation_timestamp ASC", "name", "version_number"],
    ["last_updated_timestamp DESC"],
]:
    versions("name != 'apricot'", order_by=order_by)
versions("version_number > 9", order_by=["last_updated_timestamp DESC"])
found = client.search_model_versions("name LIKE '%'", max_results=4)
told["versions by default"] = [f"{each.name}/{each.version}" for each in found]


def pages(search, **options):
    """Names on each page, until there is no token."""
    found, token = [], None
    while True:
        page = search(page_token=token, **options)
        found.append([each.name + (f"/{each.version}" if hasattr(each, "version") else "") for each in page])
        token = page.token
        if not token:
            return found


told["pages of models"] = pages(client.search_registered_models, max_results=2)
told["pages backwards"] = pages(client.search_registered_models, max_results=2, order_by=["name DESC"])
told["pages of some"] = pages(
    client.search_registered_models, filter_string="name ILIKE 'ap%'", max_results=1
)
told["a full page"] = pages(client.search_registered_models, max_results=5)
told["pages of versions"] = pages(
    client.search_model_versions, max_results=4, order_by=["name", "version_number ASC"]
)
told["pages of one model"] = pages(
    client.search_model_versions,
    filter_string="name = 'apricot'",
    max_results=5,
    order_by=["version_number DESC"],
)
told["found"] = [
    [
        found.name,
        found.description,
        found.tags,
        sorted([version.current_stage, str(version.version)] for version in found.latest_versions),
        {alias: str(version) for alias, version in found.aliases.items()},
    ]
    for found in client.search_registered_models("name = 'apple'")
]
told["found version"] = [
    [found.current_stage, found.description, found.source, found.run_id, found.tags, found.status]
    for found in client.search_model_versions("name = 'apple' and version_number = 1")
]
told["fluent"] = [
    [found.name for found in mlflow.search_registered_models(filter_string="name LIKE 'a%'")],
    len(mlflow.search_model_versions(filter_string="name = 'apricot'")),
    len(mlflow.search_model_versions(filter_string="name = 'apricot'", max_results=3)),
]
Path(sys.argv[1]).write_text(json.dumps(told))
