"""Commands on registered models: state and request in, event or refusal out. Pure.

Requests come here with their fields checked (rules.py); what is refused here depends
on the model's state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rekam_proto.registry.v1 import model_pb2
from rekam_proto.registry.v1.read_pb2 import By
from rekam_registry import protecting
from rekam_registry.state import ModelState, tags_of
from rekam_runtime.errors import AlreadyExists


def taken(name: str, for_prompt: bool, by_prompt: bool) -> AlreadyExists:
    """Why there will be no model, or prompt, of this name: they share their names."""
    wanted, there = ("Prompt" if one else "Registered Model" for one in (for_prompt, by_prompt))
    if wanted == there:
        return AlreadyExists(f"{there} (name={name}) already exists.", field="name")
    return AlreadyExists(
        f"Tried to create a {wanted.lower()} with name {name!r}, but the name is already taken by a "
        f"{there.lower()}. MLflow does not allow creating a model and a prompt with the same name.",
        field="name",
    )


def rename(state: ModelState, new_name: str, by: By) -> model_pb2.ModelRenamed | None:
    if state.name == new_name:
        return None
    protecting.allow_whole(state, by)
    return model_pb2.ModelRenamed(model_id=state.model_id, name=new_name, old_name=state.name)


def update(state: ModelState, description: str) -> model_pb2.ModelUpdated | None:
    if state.description == description:
        return None
    return model_pb2.ModelUpdated(model_id=state.model_id, description=description)


def delete(state: ModelState, by: By) -> model_pb2.ModelDeleted:
    protecting.allow_whole(state, by)
    return model_pb2.ModelDeleted(model_id=state.model_id, name=state.name)


def set_tags(state: ModelState, tags: Mapping[str, str]) -> model_pb2.ModelTagsSet | None:
    if all(state.tags.get(key) == value for key, value in tags.items()):
        return None
    return model_pb2.ModelTagsSet(model_id=state.model_id, tags=tags_of(tags))


def delete_tags(state: ModelState, keys: Iterable[str]) -> model_pb2.ModelTagsDeleted | None:
    present = [key for key in keys if key in state.tags]
    return model_pb2.ModelTagsDeleted(model_id=state.model_id, keys=present) if present else None


def protect(state: ModelState, protection: model_pb2.Protection, by: By) -> model_pb2.ModelProtected | None:
    if protection == state.protection:
        return None
    protecting.allow_whole(state, by)
    return model_pb2.ModelProtected(model_id=state.model_id, protection=protection)
