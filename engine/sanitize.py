"""The one gate for text this program did not write, on its way to a terminal.

Logs, data set rows, file and model names, squeue output: an escape sequence in any of them could move the
cursor, rename the window, write to the clipboard, or make one name look like another.
"""

import re

# Colours and bold: harmless, everywhere in logs, and noise once they are spelled out.
_STYLE = re.compile("\x1b\\[[0-9;:]*m")

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and newline, DEL, C1 with its one-byte CSI and OSC
    "\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f"  # bidirectional controls: they reorder what is read
    "\u200b\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # invisible: two names that look the same are not
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff]"  # lone surrogates, which no terminal's encoding can write
)

_SHOWN = 400
"""Characters shown of each end of an overlong line; a line of less than three times as many is shown whole."""


def visible(text: str) -> str:
    r"""`text` with nothing left that steers a terminal: styles removed, everything else spelled out as `\x1b`.

    Newlines and tabs stay.
    """
    return _UNSAFE.sub(_spelled, _STYLE.sub("", text.replace("\r\n", "\n")))


def _spelled(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode("ascii")


def same_length(text: str) -> str:
    """`text` with one character that shows in the place of each that `one_line` spells out.

    For an input, where a cursor counts characters.
    """
    return _UNSAFE.sub(_pictured, text).replace("\n", "\u240a").replace("\t", "\u2409")


def _pictured(found: re.Match[str]) -> str:
    """Unicode has pictures of the C0 controls, of DEL, and of something that is not shown."""
    code = ord(found.group())
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\u2426"


def brief(text: str) -> str:
    """`text` with the middle of overlong lines left out: what is repeated of a wrong word may have no end."""
    return "\n".join(map(_shortened, text.split("\n")))


def _shortened(line: str) -> str:
    left_out = len(line) - 2 * _SHOWN
    return (
        line if left_out <= _SHOWN else f"{line[:_SHOWN]} [... {left_out:,} characters ...] {line[-_SHOWN:]}"
    )


def one_line(text: str) -> str:
    """`text` with everything spelled out that steers a terminal, styles, newlines and tabs too: nothing is removed.

    For a file's name, a table cell, a template's complaint: two that differ must not look the same.
    """
    return _UNSAFE.sub(_spelled, text).replace("\n", "\\n").replace("\t", "\\t")
