"""Text out of rows and file names, made safe to print: it may hold whatever controls a terminal."""

import re

# Control characters but newline and tab, C1, line separators, zero-width and bidi marks, halves of surrogate pairs.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """The text with every character that could steer a terminal written as its escape."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """As `printable`, in one line: a file name or a template's complaint."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
