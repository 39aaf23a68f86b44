"""Console output of a run: within its bounds, and saying so."""

from __future__ import annotations

from collections.abc import Sequence

from rekam.capture.console import RunConsole

MIB = 1024 * 1024


class Recorded:
    """Lines as they are recorded."""

    def __init__(self) -> None:
        self.room = True
        self.streams: dict[str, list[str]] = {}

    def log_lines(self, stream: str, times_us: Sequence[int], lines: Sequence[str]) -> bool:
        assert len(times_us) == len(lines)
        assert len(lines) == 1 or sum(map(len, lines)) <= 256 * 1024
        if self.room:
            self.streams.setdefault(stream, []).extend(lines)
        return self.room


def test_lines_are_recorded_by_stream() -> None:
    recorded = Recorded()
    console = RunConsole(recorded.log_lines, MIB)
    console.write("stdout", 1, "one\n")
    console.write("stderr", 2, "warning\n")
    console.write("stdout", 3, "two\nunfinished")
    console.record()
    assert recorded.streams == {"stdout": ["one", "two"], "stderr": ["warning"]}
    console.finish()
    assert recorded.streams["stdout"] == ["one", "two", "unfinished"]


def test_output_beyond_the_bound_is_cut_and_its_end_is_kept() -> None:
    recorded = Recorded()
    console = RunConsole(recorded.log_lines, 1000)
    for number in range(100_000):
        console.write("stdout", number, f"line {number}\n")
    console.record()
    lines = list(recorded.streams["stdout"])
    assert lines[:2] == ["line 0", "line 1"]
    assert "cut here: REKAM_CONSOLE_BYTES=1000" in lines[-1]
    assert sum(map(len, lines[:-1])) < 1000
    console.write("stderr", 1, "Traceback: why\n")
    console.finish()
    assert recorded.streams["stderr"] == ["Traceback: why"]
    said, *tail = recorded.streams["stdout"][len(lines) :]
    assert said.startswith("[rekam] ") and "left out" in said
    assert tail[-1] == "line 99999"
    assert 55_000 < sum(map(len, tail)) < 70_000


def test_without_room_lines_wait_and_what_is_too_much_is_said() -> None:
    recorded = Recorded()
    recorded.room = False
    console = RunConsole(recorded.log_lines, 1024 * MIB)
    console.write("stdout", 1, "first\n")
    for number in range(40):
        console.write("stdout", number, "x" * MIB + "\n")
        console.record()
    recorded.room = True
    console.record()
    console.write("stdout", 50, "last\n")
    console.finish()
    lines = recorded.streams["stdout"]
    assert lines[0] == "first"
    assert lines[-1] == "last"
    assert "bytes of output are left out here" in lines[-2]
    assert 15 * MIB < sum(map(len, lines)) < 20 * MIB


def test_text_that_is_cut_within_a_write() -> None:
    recorded = Recorded()
    console = RunConsole(recorded.log_lines, 10)
    console.write("stdout", 1, "0123456789abc")
    console.finish()
    assert recorded.streams["stdout"][0] == "0123456789"
