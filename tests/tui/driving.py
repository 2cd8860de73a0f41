"""Driving the app as a person would, and reading its screen as text."""

import time
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Footer

SIZES = [(80, 24), (120, 40), (200, 60)]
"""The terminals that every screen is drawn on: the smallest that is common, a usual one, a large one."""

MOST_FOOTER_KEYS = 7
LONGEST_PAUSE = 0.25
"""Seconds between two looks at what takes long: a look draws the screen, and the engine wants the processor too."""
FOOTER_SECONDS = 10.0
"""How long a frame waits for its footer; what then lacks of it is a test's to say."""


def frame(app: App[Any]) -> str:
    """What the terminal shows now, without colours."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


async def wait_for(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Let the app work until the condition holds; fails the test when it does not in time."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s:\n{frame(pilot.app)}"
        await pilot.pause(pause)
        pause = min(LONGEST_PAUSE, 1.2 * pause)
    patience, looks = time.monotonic() + FOOTER_SECONDS, 0
    while looks < 2 and time.monotonic() < patience:
        await pilot.pause()
        looks = looks + 1 if _footer_is_drawn(pilot.app) else 0


def _footer_is_drawn(app: App[Any]) -> bool:
    """A footer takes its keys out and puts others in, a moment after what they do has changed, and places them then."""
    wanted = any(key.enabled and key.binding.show for key in app.screen.active_bindings.values())
    return not wanted or all(_has_keys(footer) for footer in app.screen.query(Footer))


def _has_keys(footer: Footer) -> bool:
    keys = footer.query("FooterKey")
    return bool(keys) and all(key.region for key in keys)


async def shows(pilot: Pilot[Any], *words: str, seconds: float = 120.0) -> None:
    """Wait until the screen shows all of `words`: what the app holds is drawn a moment later."""
    await wait_for(pilot, lambda: all(word in frame(pilot.app) for word in words), seconds)


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until nothing works in the background and everything is drawn."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


def assert_sound(app: App[Any]) -> None:
    """Nothing is clipped or scrolls sideways, and the footer has few keys that all fit."""
    screen = app.screen
    for footer in screen.query(Footer):
        keys = list(footer.query("FooterKey"))
        assert len(keys) <= MOST_FOOTER_KEYS, [str(key.render()) for key in keys]
        right = max((key.region.right for key in keys), default=0)
        assert right <= footer.region.right, f"the footer is {right} wide, the screen {app.size.width}"
        assert footer.virtual_size.width <= footer.size.width
    assert not screen.show_horizontal_scrollbar
    sideways = [
        widget for widget in screen.query(Widget) if widget.show_horizontal_scrollbar and widget.display
    ]
    assert not sideways, sideways
