"""Text of a filter or order to tokens with positions, and the error that points at one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from rekam_runtime.errors import Invalid

MAX_CHARS = 1_000_000
_EXCERPT_CHARS = 60


class Token(Enum):
    WORD = "word"
    NUMBER = "number"
    SINGLE = "'"
    DOUBLE = '"'
    BACKTICK = "`"
    COMPARATOR = "comparator"
    OPEN = "("
    CLOSE = ")"
    COMMA = ","
    DOT = "."
    SEMICOLON = ";"
    END = "end"


@dataclass(frozen=True, slots=True)
class Lexeme:
    token: Token
    text: str
    position: int

    @property
    def end(self) -> int:
        return self.position + len(self.text)

    @property
    def keyword(self) -> str:
        """The word in upper case; empty for everything that is not a word."""
        return self.text.upper() if self.token is Token.WORD else ""

    @property
    def unquoted(self) -> str:
        """Without its quotes. A quote doubled inside stays as it is written (MLflow's rule)."""
        return self.text[1:-1]


# Order matters: a number before a word, so that "5" is one. Quotes are those of SQL: a
# doubled one does not end the string, and a backslash is a character like any other.
_LEXEME = re.compile(
    r"""
    (?P<NUMBER>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.\-/:]))
    |(?P<WORD>\w[\w.\-/:]*)
    |(?P<SINGLE>'(?:''|[^'])*')
    |(?P<DOUBLE>"(?:""|[^"])*")
    |(?P<BACKTICK>`[^`]*`)
    |(?P<COMPARATOR>[<>=!]+)
    |(?P<OPEN>\()
    |(?P<CLOSE>\))
    |(?P<COMMA>,)
    |(?P<DOT>\.)
    |(?P<SEMICOLON>;)
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Source:
    """The text being parsed and the request field it came from."""

    text: str
    field: str

    @property
    def invalid(self) -> str:
        """How MLflow's message for text that is no clause begins."""
        return f"Invalid clause(s) in {self.field} string"

    def fault(self, message: str, position: int) -> Invalid:
        """An error that shows the character at `position` under a caret."""
        start = max(0, position - _EXCERPT_CHARS)
        end = position + _EXCERPT_CHARS
        before = ("…" if start else "") + self.text[start:position]
        after = self.text[position:end] + ("…" if end < len(self.text) else "")
        line = "".join(character if character.isprintable() else " " for character in before + after)
        return Invalid(
            f"{message}\nat character {position + 1}:\n  {line}\n  {' ' * len(before)}^",
            field=self.field,
        )


def lex(source: Source) -> list[Lexeme]:
    """All tokens, with one END at the end."""
    text = source.text
    if len(text) > MAX_CHARS:
        fault = f"{source.field} has at most {MAX_CHARS:,} characters, this one has {len(text):,}"
        raise Invalid(fault, field=source.field)
    if (nul := text.find("\0")) >= 0:
        raise source.fault(f"{source.invalid}: a NUL character", nul)
    lexemes: list[Lexeme] = []
    position = _skip_space(text, 0)
    while position < len(text):
        found = _LEXEME.match(text, position)
        if found is None or found.lastgroup is None:
            raise source.fault(f"{source.invalid}: {_unreadable(text[position])}", position)
        lexemes.append(Lexeme(Token[found.lastgroup], found.group(), position))
        position = _skip_space(text, found.end())
    lexemes.append(Lexeme(Token.END, "", len(text)))
    return lexemes


def _skip_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _unreadable(character: str) -> str:
    if character in "'\"`":
        return f"a {character} that is never closed"
    return f"{character!r} has no meaning here"
