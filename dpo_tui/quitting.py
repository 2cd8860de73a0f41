"""How the app is left: what is not saved and what still trains is asked about; a terminal that goes away is not."""

import asyncio
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

from textual.app import App
from textual.screen import ModalScreen

from dpo_tui.leaving import Farewell, Unsaved, attach_command, live_among
from dpo_tui.stopping import ask_to_stop
from dpo_tui.text.explain import error_text
from engine.exits import EngineError
from engine.rundir.paths import RunDir
from engine.sanitize import visible

HANGUPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LEAVING_SECONDS = 3.0
"""Leaving takes one; a write to a terminal that was closed may wait for ever."""


class QuitPolicy(App[int]):
    """The app as far as its end is concerned. It owns no run: whatever ends it, they train on."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Path] = []
        """The runs that were started or resumed here."""
        self.farewells: list[Farewell] = []
        """What is said of runs that go on, once the terminal is the person's again."""

    def listen_to_signals(self) -> None:
        """From now on a signal that ends the app gives the terminal back first."""
        loop = asyncio.get_running_loop()
        for number in HANGUPS:
            with suppress(RuntimeError, ValueError, NotImplementedError):  # only a main thread hears signals
                loop.add_signal_handler(number, self._hung_up, number)

    def _hung_up(self, number: int) -> None:
        """Leave in good order; where the terminal takes no more writes, without it: nothing depends on this process."""
        last_resort = threading.Timer(LEAVING_SECONDS, os._exit, [128 + number])
        last_resort.daemon = True
        last_resort.start()
        self.exit(128 + number)

    async def action_quit(self) -> None:
        """Leave. What is not saved is asked about first, then how, where a run trains that is watched here.

        Whatever lies over a screen is closed by it: help, a picker, the same question asked before.
        """
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        drafts = (screen for screen in self.screen_stack if isinstance(screen, Unsaved))
        unsaved = next((draft for draft in drafts if draft.unsaved), None)
        if unsaved is None:
            self._ask_how_to_leave()
        else:
            unsaved.ask_to_leave(self._ask_how_to_leave)

    def _ask_how_to_leave(self) -> None:
        """At once where nothing trains."""
        from dpo_tui.screens.quit import QuitScreen

        live = live_among([*self._watched(), *self.started])
        if not live:
            self.exit(0)
        else:
            names = [RunDir(root).name for root in live]
            self.push_screen(QuitScreen(names, attach_command(live[0])), self._leave)

    def detach(self) -> None:
        """Leave, and let everything train."""
        self._leave("detach")

    def _leave(self, how: str | None) -> None:
        if how is None:
            return
        live = live_among([*self._watched(), *self.started])
        try:
            for root in live if how == "stop" else ():
                ask_to_stop(RunDir(root))
        except EngineError as error:
            self.notify(visible(error_text(error)), severity="error", markup=False)
            return
        self.farewells = [Farewell(root, stopping=how == "stop") for root in live]
        self.exit(0)

    def _watched(self) -> list[Path]:
        """The runs whose monitors are open, the uppermost first."""
        return [screen.root for screen in reversed(self.screen_stack) if hasattr(screen, "root")]
