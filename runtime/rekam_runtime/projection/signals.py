"""The two signals between projectors and readers; both carry a position in decimal digits."""

from __future__ import annotations


def projected(stream: str) -> str:
    """Everything up to the position is committed."""
    return f"projected.{stream}"


def nudge(stream: str) -> str:
    """A reader waits for the position: do not hold a batch back that has it."""
    return f"nudge.{stream}"


def encode(position: int) -> bytes:
    return str(position).encode()


def decode(data: bytes) -> int:
    """0, which asks for nothing and says nothing, when it is no position."""
    return int(data) if data.isdigit() and len(data) <= 19 else 0
