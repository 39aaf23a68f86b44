"""Prompts: versions of texts and chats, found by number, alias and search."""

import json
import sys
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
told = {}


def of(prompt):
    """What is the same in every run, of a version of a prompt."""
    return {
        "name": prompt.name,
        "version": prompt.version,
        "template": prompt.template,
        "text": prompt.is_text_prompt,
        "variables": sorted(prompt.variables),
        "message": prompt.commit_message,
        "tags": prompt.tags,
        "aliases": sorted(prompt.aliases),
        "uri": prompt.uri,
        "format": prompt.response_format,
        "model": prompt.model_config,
    }


def own(tags):
    """Tags that the program gave; the client notes a prompt's experiments by and by."""
    return {key: value for key, value in tags.items() if key != "_mlflow_experiment_ids"}


def until(check):
    """The first answer that is true: the client links prompts in threads of its own."""
    deadline = time.monotonic() + 60
    while not (answer := check()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return answer


told["text"] = of(
    mlflow.genai.register_prompt(
        "greeting", "Hello, {{ name }}!", commit_message="The first.", tags={"tone": "warm"}
    )
)
told["next"] = of(
    mlflow.genai.register_prompt("greeting", "Dear {{name}},\n{{ body }}", tags={"tone": "formal"})
)
told["chat"] = of(
    mlflow.genai.register_prompt(
        "chat",
        [
            {"role": "system", "content": "You answer in {{ language }}."},
            {"role": "user", "content": "{{ question }}"},
        ],
        response_format={"type": "object", "properties": {"answer": {"type": "string"}}},
        model_config={"model_name": "some-model", "temperature": 0.5},
    )
)
told["loaded"] = [
    of(mlflow.genai.load_prompt(uri))
    for uri in ("prompts:/greeting/1", "prompts:/greeting/2", "prompts:/chat/1", "prompts:/greeting@latest")
]
told["loaded by name"] = of(mlflow.genai.load_prompt("greeting", version=1))
told["filled in"] = [
    mlflow.genai.load_prompt("prompts:/greeting/1").format(name="Ada"),
    mlflow.genai.load_prompt("prompts:/chat/1").format(language="verse", question="Why?"),
]

# Aliases move.
mlflow.genai.set_prompt_alias("greeting", "production", 1)
told["production"] = of(mlflow.genai.load_prompt("prompts:/greeting@production"))
mlflow.genai.set_prompt_alias("greeting", "production", 2)
told["next production"] = of(mlflow.genai.load_prompt("prompts:/greeting@production", cache_ttl_seconds=0))
mlflow.genai.set_prompt_alias("greeting", "old", 1)
mlflow.genai.delete_prompt_alias("greeting", "old")
told["without the alias"] = mlflow.genai.load_prompt(
    "prompts:/greeting@old", allow_missing=True, cache_ttl_seconds=0
)

# Tags of the prompt, and of its versions.
mlflow.genai.set_prompt_tag("greeting", "owner", "ada")
mlflow.genai.set_prompt_tag("greeting", "gone", "soon")
client.delete_prompt_tag("greeting", "gone")
mlflow.genai.set_prompt_version_tag("greeting", 1, "rating", "5")
mlflow.genai.set_prompt_version_tag("greeting", 1, "gone", "soon")
mlflow.genai.delete_prompt_version_tag("greeting", 1, "gone")
told["tags"] = [
    own(mlflow.genai.get_prompt_tags("greeting")),
    mlflow.genai.load_prompt("greeting", version=1, cache_ttl_seconds=0).tags,
    mlflow.genai.load_prompt("greeting", version=2, cache_ttl_seconds=0).tags,
]

# Found, and kept apart from models.
client.create_registered_model("a-model", {"owner": "ada"})
client.create_model_version("a-model", "s3://models/1")
for number in range(5):
    mlflow.genai.register_prompt(f"numbered-{number}", f"Number {number}")


def found(filter_string=None):
    prompts = mlflow.genai.search_prompts(filter_string)
    told[f"search: {filter_string}"] = sorted([prompt.name, own(prompt.tags)] for prompt in prompts)


for filter_string in (
    None,
    "name = 'greeting'",
    "name LIKE 'numbered-%'",
    "name ILIKE '%GREET%'",
    "tags.owner = 'ada'",
    "name LIKE '%e%' AND tags.owner = 'ada'",
):
    found(filter_string)
told["pages"], token = [], None
while True:
    page = client.search_prompts("name LIKE 'numbered-%'", max_results=2, page_token=token)
    told["pages"].append([prompt.name for prompt in page])
    token = page.token
    if not token:
        break
told["versions"] = [
    [version.version, version.template, version.tags]
    for version in client.search_prompt_versions("greeting", max_results=10)
]
told["models only"] = [
    [model.name for model in client.search_registered_models()],
    [version.name for version in client.search_model_versions()],
]
prompt = client.get_prompt("greeting")
told["prompt"] = [prompt.name, prompt.description, own(prompt.tags)]
told["no prompt"] = [client.get_prompt("nobody"), client.get_prompt("a-model")]

# In a run, and in its experiment.
experiment = mlflow.set_experiment("prompted")
with mlflow.start_run() as run:
    mlflow.genai.load_prompt("prompts:/greeting/2")
tag = until(lambda: client.get_run(run.info.run_id).data.tags.get("mlflow.linkedPrompts"))
told["linked to the run"] = json.loads(tag)
mlflow.genai.register_prompt("within", "An experiment's {{thing}}")


def of_experiment():
    found = mlflow.genai.search_prompts(f"experiment_id = '{experiment.experiment_id}'")
    return sorted(prompt.name for prompt in found)


told["of the experiment"] = until(lambda: len(of_experiment()) == 2) and of_experiment()


# What a prompt is not, and when it is gone.
def refused(name, call, /, *arguments, **options):
    try:
        told[name] = repr(call(*arguments, **options))
    except MlflowException as error:
        told[name] = [error.error_code, str(error).removeprefix(f"{error.error_code}: ").splitlines()[0]]


refused("a model's name", mlflow.genai.register_prompt, "a-model", "Hello")
refused("a prompt's name", client.create_registered_model, "greeting")
refused("a prompt as a model", client.get_registered_model, "greeting")
refused("a prompt's version as a model's", client.get_model_version, "greeting", "1")
refused("a model as a prompt", mlflow.genai.load_prompt, "prompts:/a-model/1")
refused("unknown", mlflow.genai.load_prompt, "prompts:/nobody/1")
refused("unknown version", mlflow.genai.load_prompt, "prompts:/greeting/9")
refused("unknown alias", mlflow.genai.load_prompt, "prompts:/greeting@nobody")
refused("a bad name", mlflow.genai.register_prompt, "a/b", "Hello")
refused("delete a prompt with versions", client.delete_prompt, "numbered-0")
client.delete_prompt_version("greeting", "1")
refused("deleted version", mlflow.genai.load_prompt, "prompts:/greeting/1", cache_ttl_seconds=0)
told["next number"] = mlflow.genai.register_prompt("greeting", "Hi").version
client.delete_prompt_version("numbered-1", "1")
client.delete_prompt("numbered-1")
refused("deleted", mlflow.genai.load_prompt, "prompts:/numbered-1/1", cache_ttl_seconds=0)

Path(sys.argv[1]).write_text(json.dumps(told))
