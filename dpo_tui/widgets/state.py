"""The state of a run on a screen: a glyph, always beside its word, the same everywhere."""

from textual.content import Content

from dpo_tui.doing import WORDS
from dpo_tui.text import has, t

_GLYPHS = {
    "queued": "○",
    "starting": "●",
    "running": "●",
    "training": "●",
    "stopping": "●",
    **dict.fromkeys(WORDS, "●"),
    "done": "✓",
    "failed": "✗",
    "stopped": "■",
    "broken": "✗",
}
_STYLES = {
    "●": "$accent",
    "○": "dim",
    "✓": "$success",
    "✗": "$error",
    "■": "$warning",
}
_UNKNOWN = "?"


def glyph(state: str) -> str:
    """The one character of a state; `?` for a state that a later version has invented."""
    return _GLYPHS.get(state, _UNKNOWN)


def style(state: str) -> str:
    """The style of a state: a variable of the theme."""
    return _STYLES.get(glyph(state), "dim")


def word(state: str) -> str:
    """The word of a state in the language spoken."""
    return t(f"state.{state}") if has(f"state.{state}") else t("state.unknown")


def state_text(state: str) -> Content:
    """Glyph and word of a state."""
    return Content.styled(f"{glyph(state)} {word(state)}", style(state))
