"""What the machine does while a run goes on: processor, memory, disk, network, GPUs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rekam.capture.gpus import Gpus, load_nvml
from rekam.errors import RekamError

log = logging.getLogger("rekam")

_MB = 1e6
_LOOPBACK = ("lo", "Loopback")


class Machine:
    """This process and the machine it is on, as numbers. Rates are those since the sample before."""

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil
        self._process = psutil.Process()
        self._directory = Path.cwd()
        self._counted: dict[str, float] = {}
        self._counted_at = 0.0
        # Utilisation and rates are measured from the call before.
        self.sample()

    def sample(self) -> dict[str, float]:
        """Everything that this platform tells, by name."""
        found: dict[str, float] = {}
        for part in (self._processor, self._memory, self._disk, self._rates):
            # A container or platform may hide one of them.
            with suppress(self._psutil.Error, OSError, NotImplementedError):
                found.update(part())
        return found

    def _processor(self) -> Iterator[tuple[str, float]]:
        yield "cpu_utilization_percentage", self._psutil.cpu_percent()
        # 100 for each core that is kept busy.
        yield "process_cpu_utilization_percentage", self._process.cpu_percent()

    def _memory(self) -> Iterator[tuple[str, float]]:
        machine = self._psutil.virtual_memory()
        yield "system_memory_usage_megabytes", machine.used / _MB
        yield "system_memory_usage_percentage", machine.percent
        yield "process_memory_usage_megabytes", self._process.memory_info().rss / _MB

    def _disk(self) -> Iterator[tuple[str, float]]:
        usage = self._psutil.disk_usage(str(self._directory))
        yield "disk_usage_percentage", usage.percent
        yield "disk_usage_megabytes", usage.used / _MB
        yield "disk_available_megabytes", usage.free / _MB

    def _rates(self) -> Iterator[tuple[str, float]]:
        now = time.monotonic()
        seconds, self._counted_at = now - self._counted_at, now
        before, self._counted = self._counted, dict(self._counters())
        for name, count in self._counted.items():
            # Counters begin anew when a device goes away.
            yield f"{name}_megabytes_per_second", max(0.0, count - before.get(name, count)) / seconds / _MB

    def _counters(self) -> Iterator[tuple[str, float]]:
        disk = self._psutil.disk_io_counters()
        if disk is not None:
            yield "disk_read", disk.read_bytes
            yield "disk_write", disk.write_bytes
        cards = self._psutil.net_io_counters(pernic=True)
        outward = [count for card, count in cards.items() if not card.startswith(_LOOPBACK)]
        if outward:
            yield "network_receive", sum(count.bytes_recv for count in outward)
            yield "network_transmit", sum(count.bytes_sent for count in outward)


class SystemMetrics:
    """A thread that samples the machine every `seconds`, first after `seconds`.

    log(metrics, step): takes a sample under its names, `system/...`; step counts the samples from 0.
    """

    def __init__(self, log: Callable[[Mapping[str, float], int], None], seconds: float) -> None:
        self._log = log
        self._seconds = seconds
        # Here and not in the thread: a fork in the middle would leave children waiting for an import
        # for ever. And not at the import of the SDK: it takes 10 ms.
        import psutil

        self._psutil = psutil
        self._nvml = load_nvml()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rekam-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No sample is logged once this returned, unless one is held up by a full buffer."""
        self._stopped.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        machine = Machine(self._psutil)
        gpus = Gpus.found(self._nvml)
        step = 0
        due = time.monotonic() + self._seconds
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            sample = machine.sample() | (gpus.sample() if gpus else {})
            try:
                self._log({f"system/{name}": value for name, value in sample.items()}, step)
            except RekamError as error:
                log.debug("a sample of system metrics is left out: %s", error)
            step += 1
            # A machine that slept takes up its rhythm; it does not catch up.
            due = max(due + self._seconds, time.monotonic())
        if gpus:
            gpus.close()
