"""Build hook of the rekam-proto distribution: the stubs are built, never committed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the stubs before hatchling collects files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        try:
            from build_stubs import build
        finally:
            sys.path.remove(self.root)
        build(Path(self.root))
