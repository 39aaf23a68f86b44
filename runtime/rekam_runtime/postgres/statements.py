"""Named SQL statements from a .sql file.

-- name: get_run
SELECT ... WHERE run_id = $1;

statements = Statements.load(__package__, "query.sql")
await connection.fetchrow(statements.get_run, run_id)
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator, Mapping

_NAME = re.compile(r"^--\s*name:(.*)$", re.MULTILINE)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


class Statements:
    """The statements of one file, as attributes; a file that is wrong is a ValueError."""

    def __init__(self, texts: Mapping[str, str], source: str) -> None:
        self._texts = dict(texts)
        self._source = source

    @classmethod
    def load(cls, package: str, file: str) -> Statements:
        """Read a file that lies in the package."""
        text = importlib.resources.files(package).joinpath(file).read_text("utf-8")
        return cls.parse(text, f"{package}/{file}")

    @classmethod
    def parse(cls, text: str, source: str) -> Statements:
        head, *rest = _NAME.split(text)
        if _COMMENT.sub("", head).strip():
            raise ValueError(f"{source}: a statement before the first `-- name:`")
        texts: dict[str, str] = {}
        for name, body in zip(map(str.strip, rest[::2]), rest[1::2], strict=True):
            if not _IDENTIFIER.fullmatch(name):
                raise ValueError(f"{source}: {name!r} is not a statement's name (lower case, digits, _)")
            if name in texts:
                raise ValueError(f"{source}: two statements are named {name}")
            if not _COMMENT.sub("", body).strip():
                raise ValueError(f"{source}: the statement {name} is empty")
            texts[name] = body.strip().removesuffix(";")
        return cls(texts, source)

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            known = ", ".join(self._texts)
            raise AttributeError(f"{self._source} has no statement {name}; it has: {known}") from None

    def __iter__(self) -> Iterator[str]:
        """Names of the statements, in the file's order."""
        return iter(self._texts)
