"""What the machine does, as numbers: measured here; GPUs on a stand-in for the driver's library."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from rekam.capture.gpus import Gpus, load_nvml
from rekam.capture.switches import (
    disable_system_metrics_logging,
    set_system_metrics_sampling_interval,
    system_metrics_period,
)
from rekam.capture.system import Machine, SystemMetrics
from rekam.errors import Invalid, SpoolFull
from tests.support.stack import until

MACHINE = {
    "cpu_utilization_percentage", "process_cpu_utilization_percentage", "system_memory_usage_megabytes",
    "system_memory_usage_percentage", "process_memory_usage_megabytes", "disk_usage_percentage",
    "disk_usage_megabytes", "disk_available_megabytes",
}  # fmt: skip


class DriverError(Exception):
    """As NVML raises it."""


class Driver:
    """Answers as NVML does for two cards; the second has no sensor for power and gets lost."""

    NVMLError = DriverError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.lost: set[int] = set()
        self.open = True

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetUtilizationRates(self, card: int) -> Any:
        self._answer(card)
        return SimpleNamespace(gpu=50 + card, memory=1)

    def nvmlDeviceGetMemoryInfo(self, card: int) -> Any:
        self._answer(card)
        return SimpleNamespace(total=80_000_000_000, used=20_000_000_000, free=60_000_000_000)

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:
        self._answer(card)
        if card == 1:
            raise DriverError("not supported")
        return 350_000

    def nvmlDeviceGetEnforcedPowerLimit(self, card: int) -> int:
        return 700_000

    def nvmlDeviceGetTemperature(self, card: int, sensor: int) -> int:
        self._answer(card)
        return 61

    def nvmlShutdown(self) -> None:
        self.open = False

    def _answer(self, card: int) -> None:
        if card in self.lost:
            raise DriverError("GPU is lost")


def test_a_machine_tells_what_it_does() -> None:
    sample = Machine(psutil).sample()
    assert sample.keys() >= MACHINE
    assert all(value >= 0 for value in sample.values())
    assert 10 < sample["process_memory_usage_megabytes"] < sample["system_memory_usage_megabytes"] * 2
    for name in sample:
        if name.endswith("percentage") and not name.startswith("process"):
            assert sample[name] <= 100


def test_gpus_tell_what_they_can() -> None:
    driver = Driver()
    gpus = Gpus(driver)
    assert gpus.sample() == {
        "gpu_0_utilization_percentage": 50.0,
        "gpu_0_memory_usage_megabytes": 20_000.0,
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_power_usage_watts": 350.0,
        "gpu_0_power_usage_percentage": 50.0,
        "gpu_0_temperature_celsius": 61.0,
        "gpu_1_utilization_percentage": 51.0,
        "gpu_1_memory_usage_megabytes": 20_000.0,
        "gpu_1_memory_usage_percentage": 25.0,
        "gpu_1_temperature_celsius": 61.0,
    }
    driver.lost = {0}
    assert {name[:5] for name in gpus.sample()} == {"gpu_1"}
    gpus.close()
    assert not driver.open


def test_a_machine_with_or_without_gpus_says_nothing_about_it(capfd: pytest.CaptureFixture[str]) -> None:
    gpus = Gpus.found(load_nvml())
    if gpus is not None:
        assert gpus.sample()
        gpus.close()
    assert capfd.readouterr() == ("", "")


def test_samples_are_counted_and_a_full_buffer_does_not_end_them() -> None:
    logged: list[tuple[set[str], int]] = []
    twice = threading.Event()

    def log(metrics: Any, step: int) -> None:
        if step == 1:
            raise SpoolFull("full")
        logged.append((set(metrics), step))
        if len(logged) == 2:
            twice.set()

    sampling = SystemMetrics(log, 0.1)
    assert twice.wait(20)
    sampling.stop()
    assert [step for _, step in logged[:2]] == [0, 2]
    assert logged[0][0] >= {f"system/{name}" for name in MACHINE}
    assert "system/network_receive_megabytes_per_second" in logged[0][0]
    count = len(logged)
    assert until("the thread ends", lambda: "rekam-system" not in {t.name for t in threading.enumerate()})
    assert len(logged) == count


def test_the_program_may_switch_them() -> None:
    assert system_metrics_period(None) == 10.0
    assert system_metrics_period(False) is None
    set_system_metrics_sampling_interval(2.5)
    disable_system_metrics_logging()
    try:
        assert system_metrics_period(None) is None
        assert system_metrics_period(True) == 2.5
        with pytest.raises(Invalid, match="interval"):
            set_system_metrics_sampling_interval(0)
    finally:
        set_system_metrics_sampling_interval(None)
        from rekam.capture import switches

        switches._enabled = None
