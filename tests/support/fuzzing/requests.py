"""Requests as a client would make them, of any kind there is: found by descriptors, filled by field names."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_FILTERS = (
    "",
    "metrics.loss > 0.5",
    "params.p = '1' AND tags.t LIKE '%a%'",
    "attributes.status = 'RUNNING'",
    "name ILIKE 'a%'",
    "attributes.start_time >= 1700000000000",
    "creation_time > 5",
    "tags.`a b` IS NULL",
)
_ORDERS = ("metrics.loss DESC", "start_time", "params.p ASC", "name DESC", "creation_time", "experiment_id")
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "filter": _FILTERS,
    "order_by": _ORDERS,
    "key": ("loss", "a/b", "p", "t"),
    "keys": ("loss", "a/b", "t", "missing"),
    "value": ("1", "a", "0.5", "x" * 200),
    "artifact_location": ("", "s3://bucket/path"),
    "writer": ("", "fuzz"),
    "stream": ("stdout", "stderr"),
    "path": ("a/b", "a/c", "d", "a", ""),
    "paths": ("a/b", "d"),
    "media_type": ("", "text/plain"),
}
_NUMBERS: Mapping[str, tuple[int, ...]] = {
    "page_size": (0, 1, 10, 100),
    "buckets": (1, 20, 1_000),
    "sequence": (1, 2, 3, 50),
    "parts": (0, 1, 3),
    "expires_s": (0, 60),
    "size": (0,),
    "start_ms": (0, 1_700_000_000_000),
    "end_ms": (1_700_000_001_000,),
    "from": (-5, 0, 10),
    "to": (10, 100, 2**40),
}
_MOST_REMEMBERED = 64
_DIGEST_OF_NOTHING = hashlib.sha256().hexdigest()


class Known:
    """What is there to be asked for: ids of runs, experiments and uploads, page tokens given out."""

    def __init__(self, run_ids: list[str], experiment_ids: list[str]) -> None:
        self.run_ids = deque(run_ids, maxlen=_MOST_REMEMBERED)
        self.experiment_ids = experiment_ids
        self.page_tokens = deque([""], maxlen=_MOST_REMEMBERED)
        self.upload_ids = deque(["0" * 32], maxlen=_MOST_REMEMBERED)

    def learn(self, response: Message) -> None:
        """Take what an answer brought: a new run or upload, a page to go on from."""
        for field, value in response.ListFields():
            if field.name == "run_id" and len(value) == 32:
                self.run_ids.append(value)
            elif field.name == "next_page_token":
                self.page_tokens.append(value)
            elif field.name == "upload_id":
                self.upload_ids.append(value)


class Requests:
    """Makes valid requests; every choice comes from `random`.

    Descriptors have a class for each implementation of protobuf: none is named here.
    """

    def __init__(self, random: Random, known: Known) -> None:
        self._random = random
        self._known = known

    def make(self, kind: Any) -> Message:
        """A request of this type with most of its fields set."""
        message: Message = GetMessageClass(kind)()
        chosen = {oneof.name: self._random.choice(oneof.fields) for oneof in kind.oneofs}
        for field in kind.fields:
            oneof = field.containing_oneof
            if oneof is not None and len(oneof.fields) > 1 and chosen[oneof.name] is not field:
                continue
            if self._random.random() < 0.85 or field.name.endswith(("run_id", "run_ids", "keys")):
                self._fill(message, field)
        return message

    def _fill(self, message: Message, field: Any) -> None:
        if field.is_repeated:
            items: Any = getattr(message, field.name)
            for _ in range(self._random.randrange(1, 4)):
                if field.message_type is not None:
                    items.add().CopyFrom(self.make(field.message_type))
                else:
                    items.append(self._value(field))
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(self.make(field.message_type))
        else:
            setattr(message, field.name, self._value(field))

    def _value(self, field: Any) -> Any:
        random, name = self._random, field.name
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return random.randbytes(16)
            case FieldDescriptor.CPPTYPE_STRING:
                return self._text(field)
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return random.uniform(-1, 1)
            case FieldDescriptor.CPPTYPE_BOOL:
                return random.random() < 0.5
            case FieldDescriptor.CPPTYPE_ENUM:
                return random.choice(field.enum_type.values).number
        return random.choice(_NUMBERS.get(name, (0, 1, 5)))

    def _text(self, field: Any) -> str:
        random, known = self._random, self._known
        name: str = field.name
        match name:
            case "run_id" if field.containing_type.name.startswith("Create"):
                return f"{random.getrandbits(128):032x}"
            case "value" if field.containing_type.name == "Param":
                return "1"  # a param is written once
            case "run_id" | "run_ids":
                return random.choice(known.run_ids)
            case "experiment_id" | "experiment_ids":
                return random.choice(known.experiment_ids)
            case "page_token":
                return random.choice(known.page_tokens)
            case "upload_id":
                return random.choice(known.upload_ids)
            case "digest" | "digests" if ".artifacts." in field.full_name:
                return _DIGEST_OF_NOTHING
            case "name" | "experiment_name":
                return f"name {random.randrange(40)}"
        return random.choice(_TEXTS.get(name, (name, f"{name}-{random.randrange(5)}")))
