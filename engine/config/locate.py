"""The line of each key of a TOML text: parsers drop it, and a message without it sends people searching.

The scan trusts nothing: it runs before the parser, in linear time, and stops what would make the parser slow
or overflow its stack. Text that is not TOML ends the scan early; saying what is wrong is the parser's part.
"""

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass

from engine.config.problems import KeyPath

DEEPEST = 16
"""Most parts of a key path. The config needs 5; nesting without end overflows every recursive parser."""

LONGEST_NUMBER = 128
"""Most characters of a number or date: Python refuses to read integers of thousands of digits."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^\[\]{},#\n=\"']+")


class OutOfBounds(Exception):
    """The text goes beyond what a config may hold."""

    def __init__(self, line: int, text: str, code: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text
        self.code = code


@dataclass(frozen=True, slots=True)
class Places:
    """The line, from 1, of every table, key and array element; and of what the scan could make no sense of."""

    lines: dict[KeyPath, int]
    stopped: int | None


def locate(text: str) -> Places:
    """Raises OutOfBounds."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except _NotToml:
        return Places(scanner.lines, scanner.line())
    return Places(scanner.lines, None)


class _NotToml(Exception):
    pass


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.newest: dict[KeyPath, int] = {}  # index of the newest table of each array of tables
        self.newlines = [found.start() for found in re.finditer("\n", text)]

    def document(self) -> None:
        table: KeyPath = ()
        while not self._at_end():
            if self._take("[["):
                table = self._header(array=True)
                self._expect("]]")
            elif self._take("["):
                table = self._header(array=False)
                self._expect("]")
            else:
                self._pair(table)

    def _header(self, array: bool) -> KeyPath:
        """The path a `[a.b]` or `[[a.b]]` opens: arrays on the way mean their newest table."""
        *outer, last = self._key()
        path: KeyPath = ()
        for part in outer:
            path = self._enter((*path, part))
        path = (*path, last)
        if array:
            self.lines.setdefault(path, self.line())
            self.newest[path] = self.newest.get(path, -1) + 1
            path = (*path, self.newest[path])
        self.lines[path] = self.line()
        return path

    def _enter(self, path: KeyPath) -> KeyPath:
        self.lines.setdefault(path, self.line())
        return (*path, self.newest[path]) if path in self.newest else path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, self.line())
        self._expect("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._bound(len(path))
        self.at = self._match(_SPACE, self.at)
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._inline_table(path)
        elif string := _STRING.match(self.text, self.at):
            self.at = string.end()
        else:
            self._scalar()

    def _array(self, path: KeyPath) -> None:
        index, start = 0, self.at
        while not self._closes("]", start):
            self.lines[(*path, index)] = self.line()
            self._value((*path, index))
            index += 1
            if not self._comma():
                self._end("]", start)
                return

    def _inline_table(self, path: KeyPath) -> None:
        start = self.at
        while not self._closes("}", start):
            self._pair(path)
            if not self._comma():
                self._end("}", start)
                return

    def _scalar(self) -> None:
        end = self._match(_SCALAR, self.at)
        if end == self.at:
            raise _NotToml
        if end - self.at > LONGEST_NUMBER and len(self.text[self.at : end].strip()) > LONGEST_NUMBER:
            raise OutOfBounds(
                self.line(),
                f"a value without quotes of more than {LONGEST_NUMBER} characters; text needs quotes",
                "toml.long_value",
            )
        self.at = end

    def _key(self) -> tuple[str, ...]:
        parts: tuple[str, ...] = ()
        while True:
            self.at = self._match(_SPACE, self.at)
            parts = (*parts, self._key_part())
            self._bound(len(parts))
            self.at = self._match(_SPACE, self.at)
            if not self._take("."):
                return parts

    def _key_part(self) -> str:
        if bare := _BARE_KEY.match(self.text, self.at):
            self.at = bare.end()
            return bare.group()
        if not (quoted := _STRING.match(self.text, self.at)):
            raise _NotToml
        self.at = quoted.end()
        try:
            return str(tomllib.loads(f"key = {quoted.group()}")["key"])
        except tomllib.TOMLDecodeError:
            raise _NotToml from None

    def _bound(self, depth: int) -> None:
        if depth > DEEPEST:
            raise OutOfBounds(self.line(), f"nested more than {DEEPEST} levels deep", "toml.too_deep")

    def line(self) -> int:
        return bisect_right(self.newlines, self.at - 1) + 1

    def _match(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self.text, at)
        return found.end() if found else at

    def _at_end(self) -> bool:
        self.at = self._match(_BLANK, self.at)
        return self.at >= len(self.text)

    def _closes(self, closing: str, start: int) -> bool:
        """Whether the list or table that began at `start` ends here; one that never does stops the scan there."""
        if self._at_end():
            self.at = start
            raise _NotToml
        return self._take(closing)

    def _end(self, closing: str, start: int) -> None:
        if not self._closes(closing, start):
            raise _NotToml

    def _comma(self) -> bool:
        return not self._at_end() and self._take(",")

    def _take(self, token: str) -> bool:
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def _expect(self, token: str) -> None:
        self.at = self._match(_SPACE, self.at)
        if not self._take(token):
            raise _NotToml
