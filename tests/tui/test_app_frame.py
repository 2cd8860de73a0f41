"""What all screens share: help, jump mode, the palette, themes, other keys, leaving."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.widgets import Footer, Input

from dpo_tui.app import DpoApp
from dpo_tui.keys import FORBIDDEN, key
from dpo_tui.screens.base import DpoScreen
from dpo_tui.screens.help import HelpScreen
from dpo_tui.screens.quit import QuitScreen
from dpo_tui.settings import Settings
from dpo_tui.text import Language
from engine.exits import CannotWriteError
from engine.rundir.control import Control
from tests.tui.driving import frame, shows, wait_for
from tests.tui.fake_runs import make_run


class Page(DpoScreen):
    """A screen with two fields, one of which explains itself."""

    BINDINGS: ClassVar[list[BindingType]] = [key("app.back", "escape", "back", show=True)]

    class Explained(Input):
        def help_text(self) -> str:
            return "This field is **explained**."

    def compose(self) -> ComposeResult:
        yield self.Explained(id="first")
        yield Input(id="second")
        yield Footer(compact=True, show_command_palette=False)


class Drafting(Page):
    """A screen with something unsaved."""

    unsaved = True
    asked: Callable[[], object] | None = None

    def ask_to_leave(self, then: Callable[[], object]) -> None:
        self.asked = then


class Bare(DpoApp):
    """The app with one page instead of its screens."""

    def open_home(self) -> None:
        self.push_screen(Page())


async def test_help_explains_the_focused_widget_and_lists_the_keys(
    language: Language, tmp_path: Path
) -> None:
    async with Bare(tmp_path).run_test(size=(100, 40)) as pilot:
        await pilot.press("f1")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await wait_for(pilot, lambda: "explained" in frame(pilot.app))
        shown = frame(pilot.app)
        assert {"en": "Put a letter", "zh": "标上字母"}[language] in shown
        assert "app.jump" in shown
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, Page)


async def test_a_letter_of_jump_mode_moves_the_focus(tmp_path: Path) -> None:
    async with Bare(tmp_path).run_test() as pilot:
        await pilot.press("ctrl+o", "s")
        await pilot.pause()
        assert pilot.app.focused is not None
        assert pilot.app.focused.id == "second"


async def test_the_palette_holds_every_action(language: Language, tmp_path: Path) -> None:
    async with Bare(tmp_path).run_test(size=(100, 40)) as pilot:
        titles = [command.title for command in pilot.app.get_system_commands(pilot.app.screen)]
        expected = {"en": {"Back", "Jump", "Theme", "Quit"}, "zh": {"返回", "跳转", "主题", "退出"}}
        assert expected[language] <= set(titles)
        await pilot.press("ctrl+k")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))


async def test_a_key_is_another_where_the_settings_say_so(tmp_path: Path) -> None:
    settings = Settings(keys={"app.jump": "ctrl+y"})
    async with Bare(tmp_path, settings=settings).run_test() as pilot:
        await pilot.press("ctrl+y", "s")
        await pilot.pause()
        assert pilot.app.focused is not None
        assert pilot.app.focused.id == "second"


async def test_an_idle_app_is_left_at_once(tmp_path: Path) -> None:
    async with Bare(tmp_path).run_test() as pilot:
        await pilot.press("ctrl+q")
    assert pilot.app.return_value == 0


@pytest.mark.parametrize(
    "theme", ["dpo-dark", "dpo-light", "ansi-dark", "ansi-light", "textual-light", "no-such"]
)
async def test_a_theme_of_the_settings_is_used(theme: str, tmp_path: Path) -> None:
    async with Bare(tmp_path, settings=Settings(theme=theme)).run_test() as pilot:
        assert pilot.app.theme == (theme if theme != "no-such" else "dpo-dark")
        assert "metric-loss" in pilot.app.theme_variables


async def test_settings_that_name_what_is_not_there_are_told_of(tmp_path: Path) -> None:
    settings = Settings(theme="no-such", keys={"home.nwe": "N", "home.new": "N"})
    async with Bare(tmp_path, settings=settings).run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for(pilot, lambda: "There is no theme no-such" in frame(pilot.app))
        await shows(pilot, "There is no key home.nwe to change")
        assert "home.new to change" not in frame(pilot.app)


async def test_ctrl_c_says_how_to_leave(tmp_path: Path, language: Language) -> None:
    settings = Settings(keys={"app.quit": "ctrl+x"})
    async with Bare(tmp_path, settings=settings).run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("ctrl+c")
        words = {"en": "To leave, press ^x", "zh": "退出请按 ^x"}[language]
        await wait_for(pilot, lambda: words in frame(pilot.app))


async def test_a_draft_that_nobody_saved_is_asked_about_before_leaving(tmp_path: Path) -> None:
    draft = Drafting()
    async with Bare(tmp_path).run_test() as pilot:
        await pilot.app.push_screen(draft)
        await pilot.press("ctrl+q")
        await wait_for(pilot, lambda: draft.asked is not None)
        assert pilot.app.is_running
        draft.unsaved = False
        assert draft.asked is not None
        draft.asked()
    assert pilot.app.return_value == 0


async def test_leaving_closes_what_lies_over_a_screen_and_asks_once(tmp_path: Path) -> None:
    run = make_run(tmp_path, "mine", "running", steps=1)
    app = Bare(tmp_path)
    async with app.run_test() as pilot:
        app.started.append(run.root)
        await pilot.press("f1", "ctrl+q", "ctrl+q")
        await wait_for(pilot, lambda: isinstance(app.screen, QuitScreen))
        assert [type(screen) for screen in app.screen_stack[1:]] == [Page, QuitScreen]


async def test_a_run_that_cannot_be_asked_to_stop_keeps_the_app_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Control) -> None:
        raise CannotWriteError("disk.cannot_write", "no space left on the disk")

    monkeypatch.setattr(Control, "request_stop", refuse)
    run = make_run(tmp_path, "mine", "running", steps=1)
    app = Bare(tmp_path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.started.append(run.root)
        await pilot.press("ctrl+q")
        await wait_for(pilot, lambda: isinstance(app.screen, QuitScreen))
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: "no space left on the disk" in frame(app))
        assert app.is_running


def test_no_key_of_the_app_is_one_that_terminals_keep_for_themselves() -> None:
    assert not {binding.key for binding in DpoApp.BINDINGS if not isinstance(binding, tuple)} & FORBIDDEN
