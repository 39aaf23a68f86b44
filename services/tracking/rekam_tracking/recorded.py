"""Lists that a tag holds as JSON, which grow by one item at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rekam_runtime.errors import FailedPrecondition


def appended(tags: Mapping[str, str], key: str, item: Mapping[str, Any], owner: str) -> str:
    """The tag's value with one more item.

    owner: whose tag it is, for people. Raises FailedPrecondition when somebody has made something else
    of the tag.
    """
    value = tags.get(key, "[]")
    try:
        items = json.loads(value)
        if not isinstance(items, list):
            raise ValueError("not a list")
        return json.dumps([*items, item])
    except (ValueError, RecursionError):
        raise FailedPrecondition(f"tag {key} of {owner} is no list in JSON") from None
