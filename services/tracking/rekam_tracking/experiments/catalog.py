"""Experiments as decided by the log: the commands carried out, the answers folded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rekam_proto.tracking.v1 import experiment_pb2
from rekam_runtime.eventlog.envelope import Cause
from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.eventlog.recall import KEPT_S, Keeper, Recall
from rekam_runtime.eventlog.subjects import Subject, Subjects
from rekam_tracking import events
from rekam_tracking.experiments import command
from rekam_tracking.experiments.command import Catalog, Entry, Tags

_MAX_TAGS_WEIGHT = 16 * 1024 * 1024


class Experiments:
    """All experiments; the catalog stays folded, tags are folded as they are asked for.

    `keeper` must run for anything to be remembered.
    """

    def __init__(self, log: EventLog, artifact_root: str, recall: Recall) -> None:
        """artifact_root: URI under which an experiment without a location of its own gets one."""
        self._log = log
        self._root = artifact_root
        self._recall = recall
        self._catalog = self._empty_catalog()
        # When the catalog was last asked for, unless something was recalled since; and how often it was.
        self._asked = float("-inf")
        self._recalls = 0
        self.keeper = Keeper(log, self._recalled)
        self._tags = Subjects(
            log,
            events.STREAM,
            events.decode,
            subject=events.experiment_subject,
            kind="experiment",
            empty=Tags,
            max_weight=_MAX_TAGS_WEIGHT,
        )

    def _empty_catalog(self) -> Subject[Catalog]:
        return Subject(
            self._log,
            events.STREAM,
            events.decode,
            subject=events.CATALOG_SUBJECT,
            aggregate="experiments",
            state=Catalog(),
        )

    async def start(self) -> None:
        """Fold what is there and make experiment "0" where it is not."""
        await self._catalog.command(
            lambda catalog: command.create_default(catalog, root=self._root, now_ms=_now_ms()),
            Cause(actor=events.SERVICE),
        )

    async def reset(self) -> None:
        """Start over with a log that was emptied."""
        self._catalog = self._empty_catalog()
        self._tags.forget()
        self._forget()
        await self.start()

    async def catch_up(self) -> None:
        """After this, the lookups below hold what lay in the log at the call."""
        # Not the loop's time: that one stands still while the loop is held up.
        asked, recalls = time.monotonic(), self._recalls
        await self._catalog.catch_up()
        if recalls == self._recalls:
            self._asked = max(self._asked, asked)

    @property
    def remembered(self) -> bool:
        """Whether the lookups below hold every delete that was answered, without asking the log.

        They may lack what else has come within the last seconds.
        """
        return self.keeper.known and time.monotonic() - self._asked <= KEPT_S

    def _recalled(self, aggregate: str) -> None:
        if aggregate.startswith("experiment/"):
            self._forget()

    def _forget(self) -> None:
        self._recalls += 1
        self._asked = float("-inf")

    def standing(self, experiment_id: str) -> Entry | None:
        return self._catalog.state.entries.get(experiment_id)

    def standing_by_name(self, name: str) -> Entry | None:
        return self._catalog.state.by_name(name)

    async def create(
        self, name: str, artifact_location: str, tags: Mapping[str, str], cause: Cause
    ) -> experiment_pb2.Experiment:
        created = await self._catalog.command(
            lambda catalog: command.create(
                catalog,
                name=name,
                artifact_location=artifact_location,
                tags=tags,
                root=self._root,
                now_ms=_now_ms(),
                origin=cause.origin,
            ),
            cause,
        )
        state = self._catalog.state
        # Without an event this request created it before.
        id = state.ids_by_name[name] if created is None else created.experiment_id
        return await self.describe(state.entries[id])

    async def ensure(
        self, name: str, cause: Cause, artifact_location: str = "", tags: Mapping[str, str] | None = None
    ) -> Entry:
        """The experiment of this name, created when there is none."""

        def decide(catalog: Catalog) -> experiment_pb2.ExperimentCreated | None:
            return command.ensure(
                catalog,
                name=name,
                artifact_location=artifact_location,
                tags=tags or {},
                root=self._root,
                now_ms=_now_ms(),
            )

        # Nearly always it is there: many callers look at once, without a line.
        await self._catalog.catch_up()
        if decide(self._catalog.state) is not None:
            await self._catalog.command(decide, cause)
        return self._catalog.state.entries[self._catalog.state.ids_by_name[name]]

    async def rename(self, id: str, name: str, cause: Cause) -> experiment_pb2.Experiment:
        await self._catalog.command(
            lambda catalog: command.rename(catalog, id, name, now_ms=_now_ms()), cause
        )
        return await self.describe(self._catalog.state.entries[id])

    async def delete(self, id: str, cause: Cause) -> experiment_pb2.Experiment:
        """Once it has returned nobody takes points for its runs any more."""
        await self._catalog.command(
            lambda catalog: command.delete(catalog, id, now_ms=_now_ms(), origin=cause.origin), cause
        )
        await self._recall(f"experiment/{id}")
        return await self.describe(self._catalog.state.entries[id])

    async def restore(self, id: str, cause: Cause) -> experiment_pb2.Experiment:
        await self._catalog.command(
            lambda catalog: command.restore(catalog, id, now_ms=_now_ms(), origin=cause.origin), cause
        )
        return await self.describe(self._catalog.state.entries[id])

    async def set_tags(self, id: str, tags: Mapping[str, str], cause: Cause) -> None:
        await self._catalog.catch_up()
        entry = command.find_active(self._catalog.state, id)
        await self._tags.get(id).command(lambda _: command.set_tags(entry, tags), cause)

    async def delete_tags(self, id: str, keys: Sequence[str], cause: Cause) -> None:
        await self._catalog.catch_up()
        entry = command.find_active(self._catalog.state, id)
        await self._tags.get(id).command(lambda own: command.delete_tags(entry, own, keys), cause)

    async def describe(self, entry: Entry) -> experiment_pb2.Experiment:
        """The experiment with its tags as they are now."""
        own = self._tags.get(entry.experiment_id)
        await own.catch_up()
        answer = experiment_pb2.Experiment()
        answer.CopyFrom(entry.experiment)
        del answer.tags[:]
        answer.tags.extend(own.state.over(entry.experiment.tags))
        return answer


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
