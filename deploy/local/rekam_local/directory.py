"""The data directory: what lies where in it, and what may be taken as one.

DIR/rekam.json        marks the directory as ours, names the format
DIR/lock              held by the running supervisor
DIR/credentials.json  passwords and keys of the parts, made once, mode 0600
DIR/state.json        the running stack: addresses and processes (mode 0600)
DIR/logs/             output of every process, bounded
DIR/nats/ postgres/ seaweed/
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rekam_local.errors import StackError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Credentials:
    """Random, generated at the first start, never printed."""

    nats_password: str
    postgres_superuser: str
    postgres_tracking: str
    postgres_artifacts: str
    postgres_registry: str
    s3_access_key: str
    s3_secret_key: str
    # Of Fernet: seals webhooks' secrets.
    webhook_key: str

    @classmethod
    def made(cls) -> Credentials:
        """New ones."""
        texts = {field.name: secrets.token_hex(20) for field in fields(cls)}
        texts["webhook_key"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        return cls(**texts)

    def __repr__(self) -> str:
        return "Credentials(hidden)"


class DataDirectory:
    """Paths of a data directory, and its small JSON files."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def check(self) -> None:
        """Refuse what is not ours: a file, or a directory with something else in it."""
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise StackError(f"--data {self.path} is not a directory")
        try:
            names = {entry.name for entry in self.path.iterdir()}
        except OSError as error:
            raise StackError(f"--data {self.path} cannot be read: {error.strerror}") from error
        if not names - {"lock"}:
            return
        if "rekam.json" not in names:
            raise StackError(f"--data {self.path} holds something else: give an empty or a new directory")
        marker = self._read("rekam.json")
        if marker.get("format") != FORMAT:
            raise StackError(
                f"{self.path}/rekam.json says format {marker.get('format')!r}; this version reads {FORMAT}"
            )

    def create(self) -> bool:
        """Make the directory; whether it was missing."""
        try:
            self.path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            return False
        except OSError as error:
            raise StackError(f"--data {self.path} cannot be created: {error.strerror}") from error
        return True

    def prepare(self) -> Credentials:
        """Fill a new directory, or read what an old one keeps."""
        try:
            self.logs.mkdir(mode=0o700, exist_ok=True)
            made = asdict(Credentials.made())
            kept = self._read("credentials.json") if (self.path / "credentials.json").exists() else {}
            if made.keys() - kept.keys():
                # All of them, or what an earlier version did not have.
                self._write("credentials.json", {**made, **kept})
            return Credentials(**self._read("credentials.json"))
        except OSError as error:
            raise StackError(
                f"--data {self.path} cannot be written: {error.strerror}: {error.filename}"
            ) from error
        except TypeError as error:
            raise StackError(
                f"{self.path}/credentials.json is not what this version wrote: {error}"
            ) from error

    def agree_on(self, option: str, asked: int | None) -> int:
        """A number that the directory keeps from its first start on, 1 unless it was said then.

        A run's points are found by its shard, so another number of shards would hide them; a
        server that was alone takes none of its streams into a cluster.
        """
        name = option.removeprefix("--").replace("-", "_")
        try:
            marker = self._read("rekam.json") if (self.path / "rekam.json").exists() else {"format": FORMAT}
            if name not in marker:
                # What an earlier version did not ask for was 1.
                first = not (self.path / "credentials.json").exists()
                marker[name] = (asked or 1) if first else 1
                self._write("rekam.json", marker)
        except OSError as error:
            raise StackError(
                f"--data {self.path} cannot be written: {error.strerror}: {error.filename}"
            ) from error
        kept = int(marker[name])
        if asked is not None and asked != kept:
            raise StackError(f"{self.path} began with {option} {kept}, which cannot change to {asked}")
        return kept

    def last_ports(self) -> int | None:
        """Start of the block of ports that the stack had last."""
        try:
            start = self._read("ports.json").get("start")
        except StackError:
            return None
        return start if isinstance(start, int) else None

    def keep_ports(self, start: int) -> None:
        """Have the same ports next time: SeaweedFS names its state after them."""
        if start != self.last_ports():
            self._write("ports.json", {"start": start})

    def write_state(self, state: dict[str, Any]) -> None:
        self._write("state.json", state)

    def read_state(self) -> dict[str, Any] | None:
        """State of the stack that runs, or ran last; None when none did."""
        return self._read("state.json") if (self.path / "state.json").exists() else None

    def drop_state(self) -> None:
        (self.path / "state.json").unlink(missing_ok=True)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise StackError(f"{self.path / name} cannot be read: {error}") from error
        if not isinstance(value, dict):
            raise StackError(f"{self.path / name} cannot be read: not an object")
        return value

    def _write(self, name: str, value: dict[str, Any]) -> None:
        # Written beside and moved over it: a crash leaves the old file or the new one.
        write_private(self.path / f"{name}.new", json.dumps(value, indent=1) + "\n")
        os.replace(self.path / f"{name}.new", self.path / name)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, and have it on disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
