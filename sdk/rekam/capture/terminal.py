"""Lines out of what is written to a terminal: progress bars write over themselves."""

from __future__ import annotations

import re

# A row is passed on in pieces when it gets longer.
MAX_ROW_CHARS = 64 * 1024
# How far the cursor moves at once; bars below each other are a handful.
_MOST_ROWS = 64

# What moves the cursor to another row, or to the beginning of its own.
_MOVES = re.compile(r"(\n|\r|\x1b\[\d{0,4}[AB])")

Line = tuple[int, str]


class Terminal:
    """The last rows of a terminal: written text goes in, lines that are done come out.

    A row is done when the cursor has left it downwards and has not come back. What a carriage
    return let be written over is gone. Colours and other sequences are text. A line's time is
    that of the last text in it.
    """

    def __init__(self) -> None:
        self._rows: list[Line] = [(0, "")]
        self._at = 0
        # Whether the next text replaces its row.
        self._returned = False

    def write(self, time_us: int, text: str) -> None:
        """Take in what was written."""
        if not self._rows[-1][0]:
            self._rows[-1] = (time_us, "")
        if "\r" not in text and "\x1b" not in text and self._at == len(self._rows) - 1:
            self._append_lines(time_us, text)
            return
        for part in _MOVES.split(text):
            if part == "\n":
                self._move(1, time_us)
                self._returned = True
            elif part == "\r":
                self._returned = True
            elif _MOVES.fullmatch(part):
                rows = min(int(part[2:-1] or 1), _MOST_ROWS)
                self._move(-rows if part.endswith("A") else rows, time_us)
            elif part:
                self._put(time_us, part)

    def take_done(self) -> list[Line]:
        """The lines that are done."""
        done, self._rows = self._rows[: self._at], self._rows[self._at :]
        self._at = 0
        return done

    def take_all(self) -> list[Line]:
        """The lines as they stand, done or not; blank rows at the end are none."""
        rows = self._rows
        self._rows, self._at, self._returned = [(0, "")], 0, False
        while rows and not rows[-1][1].strip():
            rows.pop()
        return rows

    @property
    def unfinished(self) -> bool:
        """Whether there is text that is not done."""
        return any(text.strip() for _, text in self._rows[self._at :])

    def _append_lines(self, time_us: int, text: str) -> None:
        """`write` of plain text on the last row, which is most of it."""
        first, *rest = text.split("\n")
        if first:
            self._put(time_us, first)
        for line in rest:
            self._rows.append((time_us, ""))
            self._at += 1
            self._returned = False
            if line:
                self._put(time_us, line)

    def _put(self, time_us: int, text: str) -> None:
        before = "" if self._returned else self._rows[self._at][1]
        self._returned = False
        row = before + text
        if len(row) <= MAX_ROW_CHARS:
            self._rows[self._at] = (time_us, row)
            return
        pieces = [row[at : at + MAX_ROW_CHARS] for at in range(0, len(row), MAX_ROW_CHARS)]
        self._rows[self._at : self._at + 1] = [(time_us, piece) for piece in pieces]
        self._at += len(pieces) - 1

    def _move(self, rows: int, time_us: int) -> None:
        self._at = max(0, self._at + rows)
        while self._at >= len(self._rows):
            self._rows.append((time_us, ""))
