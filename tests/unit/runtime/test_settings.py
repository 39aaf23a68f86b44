"""Settings: what is read, and how faults are told."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rekam_runtime.settings import HostPort, Secret, SettingsError, load, setting


@dataclass(frozen=True)
class Settings:
    url: Secret = setting("REKAM_URL")
    shards: int = setting("REKAM_SHARDS", default=1, at_least=1, at_most=8)
    wait_s: float = setting("REKAM_WAIT_S", default=1.5, at_least=0)
    listen: HostPort = setting("REKAM_LISTEN", default=HostPort("127.0.0.1", 80))
    local: bool = setting("REKAM_LOCAL", default=False)
    level: str = setting("REKAM_LEVEL", default="info", choices=("info", "debug"))
    target: str | None = setting("REKAM_TARGET", default=None)
    key: Secret | None = setting("REKAM_KEY", default=None)
    hosts: tuple[str, ...] = setting("REKAM_HOSTS", default=())


def test_defaults_hold_for_what_is_not_set_or_set_to_nothing() -> None:
    settings = load(Settings, {"REKAM_URL": "nats://a", "REKAM_SHARDS": "", "REKAM_TARGET": " "})
    assert settings == Settings(url=Secret("nats://a"))


def test_every_type_is_read() -> None:
    settings = load(
        Settings,
        {
            "REKAM_URL": "nats://user:pw@host:4222",
            "REKAM_SHARDS": "8",
            "REKAM_WAIT_S": "0.25",
            "REKAM_LISTEN": "[::1]:0",
            "REKAM_LOCAL": "Yes",
            "REKAM_LEVEL": "debug",
            "REKAM_TARGET": "dns:///tracking:50051",
            "REKAM_KEY": "k",
            "REKAM_HOSTS": "gateway, *.example ,",
        },
    )
    assert settings.url.reveal() == "nats://user:pw@host:4222"
    assert (settings.shards, settings.wait_s, settings.local) == (8, 0.25, True)
    assert settings.hosts == ("gateway", "*.example")
    assert (settings.level, settings.target) == ("debug", "dns:///tracking:50051")
    assert settings.listen == HostPort("::1", 0)
    assert str(settings.listen) == "[::1]:0"
    assert settings.key == Secret("k")


def test_every_fault_is_reported_at_once_by_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            Settings,
            {
                "REKAM_SHARDS": "9",
                "REKAM_WAIT_S": "nan",
                "REKAM_LISTEN": "localhost",
                "REKAM_LOCAL": "maybe",
                "REKAM_LEVEL": "loud",
            },
        )
    assert caught.value.faults == [
        "REKAM_URL is required",
        "REKAM_SHARDS must be at most 8, not '9'",
        "REKAM_WAIT_S must be a number, not 'nan'",
        "REKAM_LISTEN must be host:port, not 'localhost'",
        "REKAM_LOCAL must be true or false, not 'maybe'",
        "REKAM_LEVEL must be one of info, debug, not 'loud'",
    ]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "one", "0x1"])
def test_a_number_keeps_its_bounds(text: str) -> None:
    with pytest.raises(SettingsError, match="REKAM_SHARDS must be"):
        load(Settings, {"REKAM_URL": "u", "REKAM_SHARDS": text})


@pytest.mark.parametrize("text", ["host", "host:", ":80", "host:65536", "host:-1", "::1:80", "host:http"])
def test_an_address_is_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        HostPort.parse(text)


def test_a_secret_is_not_shown() -> None:
    settings = load(Settings, {"REKAM_URL": "nats://user:hunter2@host", "REKAM_KEY": "hunter2"})
    shown = f"{settings} {settings.url!s} {settings.key!r} {[settings.url]} {vars(settings)}"
    assert "hunter2" not in shown
