"""Where the programs are: wheels put them beside the interpreter."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rekam_local.errors import StackError


def beside_python(name: str) -> str:
    """Path of a program of this environment, or else of PATH."""
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return str(beside)
    found = shutil.which(name)
    if found is None:
        raise StackError(f"{name} is not installed: pip install 'rekam-server[local]'")
    return found
