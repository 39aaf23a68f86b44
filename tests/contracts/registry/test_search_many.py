"""Searches among many: whatever a search begins with, it finds what a look at every version finds."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rekam_proto.registry.v1 import model_pb2, read_pb2, version_pb2
from rekam_proto.registry.v1.read_pb2 import AsOf, By
from rekam_proto.tracking.v1.read_pb2 import Tag
from rekam_registry import events, rules
from rekam_registry.rules import PROMPT_TAG
from rekam_runtime.eventlog.envelope import Cause, draft, wrap
from rekam_runtime.eventlog.jetstream import JetStreamLog
from tests.support.registry_service import RegistryClient, RegistryService

# More of each kind than a search looks up one by one.
COUNT = 2_500
BATCH = 1_000
BY = By(actor="ada")
BEGAN_US = 1_700_000_000_000_000


@dataclass(frozen=True)
class One:
    """A version, all that a search asks about."""

    number: int
    run_id: str
    source: str
    stage: str
    tags: dict[str, str]
    updated_us: int

    @property
    def is_prompt(self) -> bool:
        return self.tags.get(PROMPT_TAG) == "true"


def made(most_are_prompts: bool) -> list[One]:
    choose = random.Random(3)
    found = []
    for number in range(1, COUNT + 1):
        tags = {"parity": str(number % 2), "build": f"b-{number}"}
        if number % 300 == 0:
            tags["rare"] = "x" * 300 + str(number)
        if (number % 6 != 0) if most_are_prompts else (number % 100 == 0):
            tags[PROMPT_TAG] = "true"
        stage = choose.choice(["None", "None", "Archived"]) if number % 90 else "Production"
        source = f"s3://bucket/{number % 3}/{'y' * 250 if number % 120 == 0 else ''}{number}/model"
        found.append(One(number, f"run{number // 2}", source, stage, tags, BEGAN_US + 10 * number))
    return found


async def store(log: JetStreamLog, model_id: str, name: str, versions: list[One]) -> None:
    """As the service writes them; the stage a microsecond after."""
    stages = {text: stage for stage, text in rules.STAGE_NAMES.items()}
    drafts = []
    for one in versions:
        created = version_pb2.VersionCreated(
            model_id=model_id,
            version=one.number,
            source=one.source,
            location=one.source,
            run_id=one.run_id,
            tags=[Tag(key=key, value=value) for key, value in one.tags.items()],
            name=name,
        )
        happened: list[tuple[int, version_pb2.VersionCreated | version_pb2.VersionTransitioned]]
        happened = [(one.updated_us - (one.stage != "None"), created)]
        if one.stage != "None":
            moved = version_pb2.VersionTransitioned(
                model_id=model_id,
                version=one.number,
                previous_stage=read_pb2.STAGE_NONE,
                stage=stages[one.stage],
                name=name,
            )
            happened.append((one.updated_us, moved))
        for time_us, event in happened:
            envelope = wrap(event, Cause("ada"), aggregate=f"model/{model_id}", time_us=time_us)
            drafts.append(draft(events.model_subject(model_id), envelope))
    for start in range(0, len(drafts), BATCH):
        await log.append_batch(drafts[start : start + BATCH])


async def search(
    client: RegistryClient, filter: str, *order: str, as_of: AsOf | None = None, size: int = 1_200
) -> list[int]:
    found: list[int] = []
    token = ""
    while True:
        page = await client.versions.SearchModelVersions(
            version_pb2.SearchModelVersionsRequest(
                filter=filter, order_by=order, page_size=size, page_token=token, as_of=as_of
            )
        )
        found += [version.version for version in page.versions]
        token = page.next_page_token
        if not token:
            return found


def prompts_hidden(one: One) -> bool:
    return not one.is_prompt


Meets = Callable[[One], bool]
FILTERS: dict[str, Meets] = {
    "": prompts_hidden,
    "tag.parity = '1'": lambda one: prompts_hidden(one) and one.tags["parity"] == "1",
    "(tag.parity = '0' OR tag.parity = '1') AND tag.build = 'b-2004'": (
        lambda one: one.number == 2_004 and not one.is_prompt
    ),
    "tag.build = 'b-6' OR tag.build = 'b-12' OR tag.build = 'none'": lambda one: (
        one.number in (6, 12) and not one.is_prompt
    ),
    "tag.build LIKE 'b-24%'": lambda one: prompts_hidden(one) and str(one.number).startswith("24"),
    "tag.build ILIKE '%B-%'": prompts_hidden,
    f"tag.rare = '{'x' * 300}1200'": lambda one: one.number == 1_200 and not one.is_prompt,
    f"tag.rare LIKE '{'x' * 300}%'": lambda one: "rare" in one.tags and not one.is_prompt,
    f"tag.rare = '{'x' * 200}'": lambda one: False,
    "tag.rare IS NULL AND current_stage = 'Production'": (
        lambda one: one.stage == "Production" and "rare" not in one.tags and not one.is_prompt
    ),
    "current_stage IN ('Production', 'nowhere')": lambda one: one.stage == "Production" and not one.is_prompt,
    "current_stage != 'None'": lambda one: one.stage != "None" and not one.is_prompt,
    "current_stage NOT IN ('None', 'Archived')": lambda one: one.stage == "Production" and not one.is_prompt,
    "current_stage = 'nowhere'": lambda one: False,
    "current_stage != 'nowhere'": prompts_hidden,
    "run_id = 'run1200'": lambda one: one.number // 2 == 1_200 and not one.is_prompt,
    "run_id LIKE '%120%'": lambda one: "120" in one.run_id and not one.is_prompt,
    "source_path LIKE 's3://bucket/1/%'": lambda one: one.number % 3 == 1 and not one.is_prompt,
    "source_path LIKE '%/2322/model'": lambda one: one.number == 2_322 and not one.is_prompt,
    "source_path = 's3://bucket/0/2322/model'": lambda one: one.number == 2_322 and not one.is_prompt,
    f"source_path LIKE 's3://bucket/%/{'y' * 250}12%'": (
        lambda one: one.number in (120, 1_200) and not one.is_prompt
    ),
    f"source_path LIKE 's3://bucket/0/{'y' * 250}%'": (
        lambda one: one.number % 120 == 0 and one.number % 3 == 0 and not one.is_prompt
    ),
    "source_path LIKE 's3://bucket_1/%'": lambda one: one.number % 3 == 1 and not one.is_prompt,
    "name LIKE 'man%' AND version_number > 2400": lambda one: one.number > 2_400 and not one.is_prompt,
    "name ILIKE '%NONE%'": lambda one: False,
    "tag.parity = '1' OR version_number = 12": (
        lambda one: (one.number % 2 == 1 or one.number == 12) and not one.is_prompt
    ),
    f"tag.`{PROMPT_TAG}` = 'true'": lambda one: one.is_prompt,
    f"(tag.`{PROMPT_TAG}` = 'true' OR tag.`{PROMPT_TAG}` = 'false') AND tag.parity = '0'": (
        lambda one: one.number % 2 == 0
    ),
    f"tag.`{PROMPT_TAG}` LIKE 'f%'": prompts_hidden,
    f"tag.`{PROMPT_TAG}` != 'true' AND tag.build = 'b-18'": lambda one: (
        one.number == 18 and not one.is_prompt
    ),
    f"tag.`{PROMPT_TAG}` = 'true' AND tag.parity = '1'": lambda one: one.is_prompt and one.number % 2 == 1,
}


AT_A_MOMENT: dict[str, Meets] = {
    "": prompts_hidden,
    "tag.parity = '1'": lambda one: one.number % 2 == 1 and not one.is_prompt,
    "name = 'many'": prompts_hidden,
    "name LIKE '%an%'": prompts_hidden,
    "tag.build LIKE '%2%'": lambda one: "2" in one.tags["build"] and not one.is_prompt,
}
ORDERS: list[tuple[str, ...]] = [(), ("version_number ASC",), ("creation_timestamp DESC",)]


@pytest.mark.parametrize("most_are_prompts", [False, True])
async def test_a_search_finds_what_a_look_at_all_finds(
    registry: RegistryService, log: JetStreamLog, most_are_prompts: bool
) -> None:
    client = registry.client
    for name in ("many", "other"):
        model = await client.models.CreateRegisteredModel(
            model_pb2.CreateRegisteredModelRequest(name=name, by=BY)
        )
        if name == "many":
            versions = made(most_are_prompts)
            await store(log, model.model_id, name, versions)
    for turn, (filter, meets) in enumerate(FILTERS.items()):
        order = ORDERS[turn % len(ORDERS)]
        wanted = [one.number for one in versions if meets(one)]
        if order != ("version_number ASC",):
            wanted.reverse()
        assert await search(client, filter, *order) == wanted, (filter, order)
    # When the later half was not there yet.
    middle = versions[COUNT // 2]
    before = versions[: middle.number]
    for filter, meets in AT_A_MOMENT.items():
        wanted = [one.number for one in reversed(before) if meets(one)]
        assert await search(client, filter, as_of=AsOf(time_us=middle.updated_us)) == wanted, filter
