"""What can go wrong with a local stack, said to the person at the terminal."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot start or do what was asked; the text says why and what to do."""
