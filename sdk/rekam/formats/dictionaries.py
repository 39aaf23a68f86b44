"""Dictionaries as JSON or YAML, by the file's suffix."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from rekam.formats.packages import require


def encode(value: Any, artifact_file: str) -> bytes:
    """YAML for .yml and .yaml, else JSON, in which what JSON does not know is its str()."""
    if PurePosixPath(artifact_file).suffix in (".yml", ".yaml"):
        yaml = require("yaml", "pyyaml", f"a dictionary as {artifact_file!r}")
        text: str = yaml.dump(value, indent=2, default_flow_style=False, allow_unicode=True)
        return text.encode()
    return json.dumps(value, indent=2, default=str).encode()
