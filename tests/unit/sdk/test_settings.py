"""Environment and addresses: every fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rekam.address import target_of
from rekam.errors import Invalid
from rekam.settings import read


def test_defaults() -> None:
    settings = read({"XDG_CACHE_HOME": "/cache"})
    assert settings.tracking_uri == "grpc://127.0.0.1:50051"
    assert settings.spool_bytes == 4 * 1024**3
    assert settings.on_full == "block"
    assert settings.rank is None
    assert settings.spool_dir.name == "spool"


def test_what_is_set_is_read() -> None:
    settings = read(
        {
            "REKAM_SPOOL_DIR": "/tmp/s",
            "REKAM_SPOOL_FSYNC": "always",
            "RANK": "3",
            "REKAM_FLUSH_TIMEOUT": "1.5",
        }
    )
    assert settings.spool_dir == Path("/tmp/s")
    assert settings.spool_fsync == "always"
    assert settings.rank == 3
    assert settings.flush_timeout == 1.5
    assert read({"RANK": "3", "REKAM_RANK": "4"}).rank == 4


@pytest.mark.parametrize("transfers", ["0", "65", "many"])
def test_how_many_files_are_moved_at_once_is_bounded(transfers: str) -> None:
    assert read({"REKAM_TRANSFERS": "64"}).transfers == 64
    with pytest.raises(Invalid, match="REKAM_TRANSFERS"):
        read({"REKAM_TRANSFERS": transfers})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        read(
            {"REKAM_SPOOL_FSYNC": "yes", "REKAM_SPOOL_BYTES": "1", "REKAM_FLUSH_TIMEOUT": "inf", "RANK": "x"}
        )
    for name in ("REKAM_SPOOL_FSYNC", "REKAM_SPOOL_BYTES", "REKAM_FLUSH_TIMEOUT"):
        assert name in str(caught.value)
    assert " RANK" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "target"),
    [("grpc://127.0.0.1:50051", "127.0.0.1:50051"), ("grpc://h:1/", "h:1"), ("grpc://[::1]:5", "[::1]:5")],
)
def test_good_addresses(uri: str, target: str) -> None:
    assert target_of(uri) == target


@pytest.mark.parametrize(
    "uri",
    ["", "127.0.0.1:50051", "grpc://host", "grpc://:5", "http://host:5000", "file:///x", "grpc://h:99999",
     "grpc://h:1/path", "grpc://u@h:1", "grpc://h:x"],
)  # fmt: skip
def test_bad_addresses_say_the_form(uri: str) -> None:
    with pytest.raises(Invalid, match="grpc://host:port"):
        target_of(uri)


def test_a_spool_that_spills_needs_a_place_for_it() -> None:
    with pytest.raises(Invalid, match="REKAM_SPILL_DIR must say where to"):
        read({"REKAM_ON_FULL": "spill"})
    settings = read({"REKAM_ON_FULL": "spill", "REKAM_SPILL_DIR": "/tmp/o", "REKAM_SPOOL_DIR": "/tmp/s"})
    assert settings.spill_root == Path("/tmp/o")
    assert settings.spool_roots == [Path("/tmp/s"), Path("/tmp/o")]
    assert read({"REKAM_SPILL_DIR": "/tmp/o"}).spill_root is None


def test_offline_is_a_switch() -> None:
    assert read({"REKAM_OFFLINE": "1"}).offline
    assert not read({}).offline
    with pytest.raises(Invalid, match="REKAM_OFFLINE"):
        read({"REKAM_OFFLINE": "perhaps"})
