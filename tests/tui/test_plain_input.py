"""An input with anybody's text: nothing of it steers the terminal, and the cursor is where it is drawn."""

import ast
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

import dpo_tui
from dpo_tui.widgets.confirm import Ask
from dpo_tui.widgets.log_view import LogView
from dpo_tui.widgets.plain_input import PlainInput
from engine.rundir.paths import RunDir
from engine.sanitize import one_line, same_length
from tests.tui.driving import frame, wait_for

ODD = "a\x1b[2J\x00\u202eé中\t\n\x7f\x9b\u200bz"
DRAWN = "a␛[2J␀␦é中␉␊␡␦␦z"


class Alone(App[None]):
    """The input and nothing else."""

    def compose(self) -> ComposeResult:
        yield PlainInput(ODD, compact=True, select_on_focus=False)


@asynccontextmanager
async def shown() -> AsyncIterator[tuple[Pilot[Any], PlainInput]]:
    async with Alone().run_test(size=(40, 3)) as pilot:
        yield pilot, pilot.app.query_one(PlainInput)


def test_each_character_that_steers_is_replaced_by_one_that_shows() -> None:
    assert same_length(ODD) == DRAWN
    assert one_line(same_length(ODD)) == same_length(ODD)


async def test_it_draws_no_character_that_steers_and_keeps_its_value() -> None:
    async with shown() as (pilot, field):
        await pilot.pause()
        assert frame(pilot.app).split("\n")[0].rstrip() == DRAWN
        assert field.value == ODD
        assert field.content_width == cell_len(DRAWN) + 1


async def test_the_cursor_stands_where_its_character_is_drawn() -> None:
    async with shown() as (pilot, field):
        await pilot.press("home")
        for index in range(len(ODD)):
            assert cursor_of(pilot, field) == cell_len(DRAWN[:index])
            await pilot.press("right")
        await pilot.press("backspace", "backspace")
        assert field.value == ODD[:-2]


async def test_a_click_leads_to_the_character_under_it() -> None:
    async with shown() as (pilot, field):
        for index in (0, 5, 6, 8, 11):
            await pilot.click(field, offset=(cell_len(DRAWN[:index]), 0))
            assert field.cursor_position == index
        await pilot.click(field, offset=(30, 0))
        assert field.cursor_position == len(ODD)


async def test_what_is_pasted_is_drawn_so_too() -> None:
    async with shown() as (pilot, field):
        field.value = ""
        field.insert_text_at_cursor("x\x1b]0;title\x07")
        await pilot.pause()
        assert frame(pilot.app).split("\n")[0].rstrip() == "x␛]0;title␇"


async def test_what_is_pasted_into_a_question_or_a_search_is_drawn_so_too(tmp_path: Path) -> None:
    class Both(App[None]):
        """A log with its search, and a question over it."""

        def compose(self) -> ComposeResult:
            yield LogView(RunDir(tmp_path))

        def on_mount(self) -> None:
            self.push_screen(Ask("Which?", [], lambda _: ""))

    async with Both().run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, lambda: pilot.app.screen.query(Input))
        pilot.app.screen.query_one(Input).insert_text_at_cursor("x\x1b]0;title\x07")
        await wait_for(pilot, lambda: "x␛]0;title␇" in frame(pilot.app))
        await pilot.press("escape")
        pilot.app.query_one(LogView).action_find()
        pilot.app.query_one(LogView).query_one(Input).insert_text_at_cursor("y\x1b[2J")
        await wait_for(pilot, lambda: "y␛[2J" in frame(pilot.app))


def test_the_app_has_no_other_input() -> None:
    made = {
        f"{path.name}:{node.lineno}"
        for path in Path(dpo_tui.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Input"
    }
    assert not made


def cursor_of(pilot: Pilot[Any], field: PlainInput) -> int:
    offset: int = field.cursor_screen_offset.x - field.content_region.x
    return offset
