"""Credentials of a local stack: made once, kept, and filled up for what an earlier version did not have."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.fernet import Fernet

from rekam_local.directory import DataDirectory


def test_credentials_are_made_once_and_filled_up(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    made = directory.prepare()
    assert directory.prepare() == made
    Fernet(made.webhook_key)
    assert "hidden" in repr(made)
    file = directory.path / "credentials.json"
    kept = json.loads(file.read_text())
    del kept["webhook_key"]
    file.write_text(json.dumps(kept))
    later = directory.prepare()
    assert later.webhook_key != made.webhook_key
    assert later.nats_password == made.nats_password
    assert directory.prepare() == later
    assert file.stat().st_mode & 0o777 == 0o600
