"""Registered models as decided by the log: commands carried out, answers folded.

A model is one subject, named by its id; a name is one, too. What gives or takes a name is appended to
both in one batch, all or nothing: so the log decides who gets a name, and a model whose creation was
cut off does not exist.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message

from rekam_proto.registry.v1 import model_pb2
from rekam_registry import events
from rekam_registry.events import ModelEvent
from rekam_registry.state import ModelState, NameState
from rekam_runtime.errors import AlreadyExists, NotFound, Refused, Retry
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.subjects import Decision, Subject, Subjects, decide

_NAMES_WEIGHT = 4 * 1024 * 1024
# A name goes from one model to another between two looks at the log at most so often.
_MAX_MOVES = 16
Answer = TypeVar("Answer")


class _Moved(Refused):
    """The model has another name by now, or is gone."""


class Ledger:
    """All models; those changed lately stay folded."""

    def __init__(self, log: EventLog, *, max_weight: int) -> None:
        """max_weight: bound of the memory for folded models, in bytes."""
        self._log = log
        self._names: Subjects[NameState] = Subjects(
            log,
            events.STREAM,
            events.decode,
            subject=events.name_subject,
            kind="name",
            empty=NameState,
            max_weight=_NAMES_WEIGHT,
        )
        self._models: Subjects[ModelState] = Subjects(
            log,
            events.STREAM,
            events.decode,
            subject=events.model_subject,
            kind="model",
            empty=ModelState,
            max_weight=max_weight,
        )

    def forget(self) -> None:
        """Drop what is folded, as after the log was emptied."""
        self._names.forget()
        self._models.forget()

    async def create(
        self, name: str, event_of: Callable[[str], model_pb2.ModelCreated], cause: Cause
    ) -> model_pb2.RegisteredModel:
        """event_of: the event of a model with this id."""
        created = event_of(uuid.uuid4().hex)
        named, model = self._names.get(name), self._models.get(created.model_id)

        def what() -> Decision[Message]:
            if not named.state.owner:
                taken = model_pb2.NameTaken(name=name, model_id=created.model_id)
                return [(named, taken), (model, created)]
            if cause.writer and cause.writer == named.state.taken_by:
                return ()
            raise AlreadyExists(f"Registered Model (name={name}) already exists.", field="name")

        if await decide(self._log, [named], what, cause):
            return model.state.describe()
        # This request created it before.
        return await self.look(name, ModelState.describe)

    async def change(
        self,
        name: str,
        decision: Callable[[ModelState], ModelEvent | None],
        answer: Callable[[ModelState, ModelEvent | None], Answer],
        cause: Cause,
    ) -> Answer:
        """Append the event that `decision` answers for the model of this name.

        decision: pure; answers an event, None when there is nothing to do, or raises Refused.
        answer: of the state with the event taken in.
        """
        return await self._on(name, lambda model, named: self._change(name, model, decision, answer, cause))

    async def rename(
        self,
        name: str,
        new_name: str,
        decision: Callable[[ModelState], model_pb2.ModelRenamed | None],
        cause: Cause,
    ) -> model_pb2.RegisteredModel:
        wanted = self._names.get(new_name)

        async def attempt(model: Subject[ModelState], named: Subject[NameState]) -> model_pb2.RegisteredModel:
            def what() -> Decision[Message]:
                event = decision(_named(model.state, name))
                if event is None:
                    return ()
                if wanted.state.owner:
                    raise AlreadyExists(
                        f"Registered Model (name={new_name}) already exists.", field="new_name"
                    )
                freed = model_pb2.NameFreed(name=name, model_id=event.model_id)
                taken = model_pb2.NameTaken(name=new_name, model_id=event.model_id)
                return [(named, freed), (wanted, taken), (model, event)]

            await decide(self._log, [model, named, wanted], what, cause)
            return model.state.describe()

        if await self._was_freed_by(name, cause):
            return await self.look(new_name, ModelState.describe)
        return await self._on(name, attempt)

    async def delete(
        self, name: str, decision: Callable[[ModelState], model_pb2.ModelDeleted], cause: Cause
    ) -> None:
        async def attempt(model: Subject[ModelState], named: Subject[NameState]) -> None:
            def what() -> Decision[Message]:
                event = decision(_named(model.state, name))
                return [(named, model_pb2.NameFreed(name=name, model_id=event.model_id)), (model, event)]

            await decide(self._log, [model, named], what, cause)

        if not await self._was_freed_by(name, cause):
            await self._on(name, attempt)

    async def look(self, name: str, answer: Callable[[ModelState], Answer]) -> Answer:
        """The model of this name as it is in the log now."""

        async def attempt(model: Subject[ModelState], named: Subject[NameState]) -> Answer:
            await model.catch_up()
            return answer(_named(model.state, name))

        return await self._on(name, attempt)

    async def _change(
        self,
        name: str,
        model: Subject[ModelState],
        decision: Callable[[ModelState], ModelEvent | None],
        answer: Callable[[ModelState, ModelEvent | None], Answer],
        cause: Cause,
    ) -> Answer:
        def what() -> Decision[ModelEvent]:
            event = decision(_named(model.state, name))
            if event is None:
                return ()
            event.name = name
            return [(model, event)]

        decided = await decide(self._log, [model], what, cause)
        return answer(model.state, decided[0][1] if decided else None)

    async def _on(
        self, name: str, attempt: Callable[[Subject[ModelState], Subject[NameState]], Awaitable[Answer]]
    ) -> Answer:
        """Attempt it on the model that has the name; again when another one has got it meanwhile."""
        named = self._names.get(name)
        for _ in range(_MAX_MOVES):
            if not named.state.owner:
                await named.catch_up()
            if not named.state.owner:
                raise missing(name)
            try:
                return await attempt(self._models.get(named.state.owner), named)
            except _Moved:
                await named.catch_up()
        raise Retry(f"the name {name!r} is changed by too many at once: send the request again")

    async def _was_freed_by(self, name: str, cause: Cause) -> bool:
        """Whether this very request, sent before, has freed the name."""
        if not cause.writer:
            return False
        named = self._names.get(name)
        await named.catch_up()
        return not named.state.owner and named.state.freed_by == cause.writer


def missing(name: str, field: str = "name") -> NotFound:
    return NotFound(f"Registered Model with name={name} not found", field=field)


def _named(state: ModelState, name: str) -> ModelState:
    if state.deleted or state.name != name:
        raise _Moved(f"{name!r} is no longer the name of this model")
    return state
