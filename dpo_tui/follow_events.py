"""A run's events shown as they come, until it has ended."""

import time
from collections.abc import Callable

from dpo_tui.display import choose_display
from engine.rundir.paths import RunDir
from engine.rundir.tail import Tail

_POLL_SECONDS = 0.1


def follow_events(run: RunDir, alive: Callable[[], bool], *, offset: int, json: bool) -> None:
    """Show events until the supervisor is gone and everything it left is shown."""
    tail = Tail(run.events, offset)
    display = choose_display(json=json)
    try:
        while True:
            ended = not alive()
            while batch := tail.read():
                for event in batch:
                    display.show(event)
            if ended:
                return
            time.sleep(_POLL_SECONDS)
    finally:
        display.close()
