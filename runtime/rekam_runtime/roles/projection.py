"""What a service projects, at work in one replica: its streams into Postgres, and rebuilds."""

from __future__ import annotations

from collections.abc import Mapping

from rekam_runtime.eventlog.port import EventLog
from rekam_runtime.postgres import Pool
from rekam_runtime.process import together
from rekam_runtime.projection import BatchLimits, Projector, Replica, emptying
from rekam_runtime.projection.leases import Work
from rekam_runtime.projection.part import Part
from rekam_runtime.rebuild import Plan, Rebuilder


class Projection:
    """work: what replicas share, by name; each stream's has the stream's name."""

    def __init__(
        self,
        log: EventLog,
        pool: Pool,
        rebuilding: Pool,
        replica: Replica,
        plan: Plan,
        parts: Mapping[str, Part],
        *,
        retired_kept_s: float,
        limits: BatchLimits | None = None,
    ) -> None:
        """log: with its archive.
        rebuilding: a pool for rebuilds alone.
        parts: new ones of the plan, for what is read now.
        """
        self._log = log
        self._pool = pool
        self._replica = replica
        self._parts = parts
        self._projectors = {
            stream: Projector(
                log,
                pool,
                stream=stream,
                service=plan.service,
                apply=part.apply,
                rolled_back=part.forget,
                limits=limits,
            )
            for stream, part in parts.items()
        }
        rebuilder = Rebuilder(log, rebuilding, plan, retired_kept_s=retired_kept_s)
        self.work: dict[str, Work] = {
            **{stream: projector.run for stream, projector in self._projectors.items()},
            "rebuild": rebuilder.run,
        }

    def beside(self, name: str, *work: Work) -> None:
        """Do it too, wherever the work of this name is done."""
        own = self.work[name]
        self.work[name] = lambda: together(own(), *(one() for one in work))

    async def share(self) -> None:
        """Do this replica's share of the work, until cancelled."""
        await self._replica.share(self._pool, self.work)

    def faults(self) -> list[str]:
        """What is not ready, as text."""
        held = sorted(self._replica.held & self._projectors.keys())
        return [
            *([] if self._replica.attending else ["the leases cannot be renewed"]),
            *(f"{stream} is not projected" for stream in held if not self._projectors[stream].running),
        ]

    async def reset(self) -> None:
        """Empty the tables, after the log was emptied."""
        await emptying.empty(self._pool, self._log, self._parts)
        for part in self._parts.values():
            part.forget()
