"""Packages that only some files need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rekam.errors import MissingPackage


def require(module: str, package: str, what: str) -> Any:
    """The module; MissingPackage, saying what for and how to get it, when it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackage(f"{what} needs {package}: pip install {package} ({error})") from error
