"""`rekam models`."""

from rekam.cli.models import changing, logged, moving, reading, requests, watching
from rekam.cli.models.group import models

__all__ = ["changing", "logged", "models", "moving", "reading", "requests", "watching"]
