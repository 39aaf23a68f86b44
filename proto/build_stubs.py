"""Builds the Python stubs of every .proto beside its source.

Run by `make proto` for a checkout and by the build hook for wheels. Does nothing when
the stubs are newer than the sources and this file; replaces whole files, so that a
process importing them meanwhile never sees half a file.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def stubs_of(source: Path) -> list[Path]:
    """The files that are built from one .proto."""
    return [source.with_name(source.stem + suffix) for suffix in SUFFIXES]


def is_current(sources: list[Path], stubs: list[Path]) -> bool:
    """Whether every stub is there and newer than everything it is built from."""
    if not all(stub.exists() for stub in stubs):
        return False
    changed = max(path.stat().st_mtime for path in [*sources, Path(__file__)])
    return min(stub.stat().st_mtime for stub in stubs) >= changed


def plugin(name: str) -> str:
    """The path of a protoc plugin: beside this interpreter, else on PATH."""
    path = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if path is None:
        raise SystemExit(f"{name} is not installed: it comes with mypy-protobuf")
    return path


def build(root: Path = ROOT) -> bool:
    """Build what is missing or old; returns whether there was anything to build."""
    sources = sorted(root.glob("rekam_proto/**/*.proto"))
    stubs = [stub for source in sources for stub in stubs_of(source)]
    if is_current(sources, stubs):
        return False
    with tempfile.TemporaryDirectory(dir=root, prefix=".stubs-") as out:
        arguments = [
            "protoc",
            f"--proto_path={root}",
            f"--proto_path={resources.files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy_grpc={plugin('protoc-gen-mypy_grpc')}",
            f"--python_out={out}",
            f"--pyi_out={out}",  # protoc's own: enums are classes that may stand in annotations
            f"--grpc_python_out={out}",
            f"--mypy_grpc_out=quiet:{out}",
            *(str(source.relative_to(root)) for source in sources),
        ]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed")
        for stub in stubs:
            os.replace(Path(out) / stub.relative_to(root), stub)
    for path in root.glob("rekam_proto/**/*_pb2*.py*"):
        if path.suffix in (".py", ".pyi") and path not in stubs:
            path.unlink()  # its .proto is gone
    return True


if __name__ == "__main__":
    print("proto: stubs built" if build() else "proto: stubs are current")
