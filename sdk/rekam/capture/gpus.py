"""NVIDIA's GPUs, by NVML."""

from __future__ import annotations

from typing import Any

_MB = 1e6


def load_nvml() -> Any | None:
    """The module `pynvml`; None when it is not installed."""
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml


class Gpus:
    """The GPUs of this machine, numbered as NVML does.

    nvml: the module `pynvml`, initialised.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]

    @classmethod
    def found(cls, nvml: Any | None) -> Gpus | None:
        """Those that there are; None without the library or a driver, as on most machines."""
        if nvml is None:
            return None
        try:
            nvml.nvmlInit()
            return cls(nvml)
        except nvml.NVMLError:
            return None

    def sample(self) -> dict[str, float]:
        """Utilisation, memory, power and temperature of each, as far as it tells."""
        found: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            for part in (self._utilization, self._memory, self._power, self._temperature):
                try:
                    values = part(handle)
                except self._nvml.NVMLError:
                    continue  # not every card has a sensor for everything, and one may get lost
                found.update({f"gpu_{number}_{name}": value for name, value in values.items()})
        return found

    def close(self) -> None:
        """Let go of the driver."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            pass  # it went first

    def _utilization(self, handle: Any) -> dict[str, float]:
        return {"utilization_percentage": float(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu)}

    def _memory(self, handle: Any) -> dict[str, float]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "memory_usage_megabytes": memory.used / _MB,
            "memory_usage_percentage": memory.used / memory.total * 100,
        }

    def _power(self, handle: Any) -> dict[str, float]:
        used_mw = self._nvml.nvmlDeviceGetPowerUsage(handle)
        limit_mw = self._nvml.nvmlDeviceGetEnforcedPowerLimit(handle)
        return {"power_usage_watts": used_mw / 1000, "power_usage_percentage": used_mw / limit_mw * 100}

    def _temperature(self, handle: Any) -> dict[str, float]:
        sensor = self._nvml.NVML_TEMPERATURE_GPU
        return {"temperature_celsius": float(self._nvml.nvmlDeviceGetTemperature(handle, sensor))}
