"""Logged models of two generations held against each other."""

from __future__ import annotations

from rekam_runtime.postgres import Statements
from rekam_runtime.rebuild.comparing import by_statement

_statements = Statements.load("rekam_tracking.logged_models", "comparing.sql")
COMPARISONS = [by_statement(name, getattr(_statements, name)) for name in _statements]
