"""Stores a new sample from its text; refuses to touch one that is stored already.

python -m tests.golden.record FULL_NAME VERSION [ADDITION]
"""

from __future__ import annotations

import argparse
import hashlib

from rekam_proto.event.v1.envelope_pb2 import Envelope, Origin
from tests.golden.samples import Sample


def record(sample: Sample) -> None:
    """Write the envelope around what the sample's text says."""
    envelope = Envelope(
        event_id=hashlib.sha256(sample.name.encode()).digest()[:16],
        type=sample.type,
        schema_version=sample.version,
        aggregate=f"golden/{sample.name}",
        actor="golden",
        time_us=1_700_000_000_000_000 + sample.version,
        reason="golden reason",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        causation_id=bytes(range(16)),
        origin=Origin(writer="w.0-a_b", sequence=7),
        payload=sample.said().SerializeToString(deterministic=True),
    )
    with sample.stored.open("xb") as file:  # x: never over an old one
        file.write(envelope.SerializeToString(deterministic=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("full_name", help="for example rekam_proto.tracking.v1.RunCreated")
    parser.add_argument("version", type=int)
    parser.add_argument("addition", nargs="?", default="", help="what fields that came later are about")
    arguments = parser.parse_args()
    sample = Sample(arguments.full_name, arguments.version, arguments.addition)
    try:
        record(sample)
    except FileExistsError:
        parser.error(f"{sample.stored.name} is stored already: samples never change")
    except FileNotFoundError:
        parser.error(f"write {sample.text.name} first")


if __name__ == "__main__":
    main()
