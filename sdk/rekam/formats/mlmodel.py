"""What a model's MLmodel file says of its signature."""

from __future__ import annotations

import json
import logging

log = logging.getLogger("rekam")

NAME = "MLmodel"


def signature_of(content: bytes) -> str | None:
    """The signature as JSON; None when there is none, or the file is not to be understood."""
    try:
        import yaml
    except ImportError:
        log.warning("the model is registered without its signature: reading %s needs pyyaml", NAME)
        return None
    try:
        described = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        log.warning("the model is registered without its signature: its %s is no YAML: %s", NAME, error)
        return None
    signature = described.get("signature") if isinstance(described, dict) else None
    return json.dumps(signature) if isinstance(signature, dict) else None
