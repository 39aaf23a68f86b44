"""The documents point at what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "proto", "services", "sdk", "plugins", "deploy", "examples", "tests", "bench")
DOCUMENTS = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
PATH = re.compile(r"`((?:proto|runtime|services|sdk|deploy|tests|bench)/[\w./-]*)`")


@pytest.mark.parametrize("document", sorted(DOCUMENTS), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = LINK.findall(document.read_text("utf-8"))
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_architecture_names_files_that_exist() -> None:
    paths = PATH.findall((ROOT / "ARCHITECTURE.md").read_text("utf-8"))
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == []
