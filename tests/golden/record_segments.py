"""Stores the story as segments of the archive, of the format that is written now; never over old ones.

python -m tests.golden.record_segments
"""

from __future__ import annotations

from rekam_runtime.archive.segment import VERSION, SegmentWriter
from tests.golden.story import LOG_ID, STREAMS, records, segment_file


def main() -> None:
    for stream in STREAMS:
        if segment_file(stream, VERSION).exists():
            continue
        writer = SegmentWriter(stream, LOG_ID, 0)
        for record in records(stream):
            writer.add(record)
            if record.position % 4 == 0:  # several blocks
                writer.close_block()
        with segment_file(stream, VERSION).open("xb") as file:
            file.write(writer.finish(b"golden context"))


if __name__ == "__main__":
    main()
