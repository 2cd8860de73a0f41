"""Text for widgets that is only text: nothing in it is markup, and nothing steers the terminal."""

from textual.content import Content

from engine.sanitize import one_line, visible


def plain(text: str, style: str = "") -> Content:
    """Lines of text. `style` is ours: "dim", "bold", "$accent"."""
    return Content.styled(visible(text), style) if style else Content(visible(text))


def plain_line(text: str, style: str = "") -> Content:
    """One line of text: line breaks and tabs are spelled out."""
    return Content.styled(one_line(text), style) if style else Content(one_line(text))
