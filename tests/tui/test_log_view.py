"""A run's log on the screen: followed, scrolled, searched, and nothing in it is obeyed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollUp
from textual.pilot import Pilot
from textual.screen import Screen

from dpo_tui.widgets.log_lines import LogLines
from dpo_tui.widgets.log_view import LogView
from engine.rundir.paths import RunDir
from tests.tui.driving import frame, settle, shows, wait_for


class _Shown(App[None]):
    """A log and nothing else."""

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self._run_dir = run

    def compose(self) -> ComposeResult:
        yield LogView(self._run_dir)

    @property
    def view(self) -> LogView:
        return self.query_one(LogView)


def _run(tmp_path: Path, lines: Sequence[str] = ()) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    run.train_log.write_text("".join(f"{line}\n" for line in lines))
    return run


def _append(run: RunDir, *lines: str) -> None:
    with run.train_log.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def _rows(app: App[None]) -> list[str]:
    return [row.rstrip(" ▐").strip() for row in frame(app).splitlines()]


async def _focused(pilot: Pilot[None]) -> LogLines:
    lines = pilot.app.query_one(LogLines)
    lines.focus()
    await pilot.pause()
    return lines


def wheel_up(widget: LogLines) -> MouseScrollUp:
    return MouseScrollUp(
        widget, x=1, y=1, delta_x=0, delta_y=-1, button=0, shift=False, meta=False, ctrl=False
    )


NUMBERED = [f"line {number}" for number in range(1, 201)]


async def test_the_end_is_followed_as_the_log_grows(tmp_path: Path) -> None:
    run = _run(tmp_path, NUMBERED)
    app = _Shown(run)
    async with app.run_test(size=(60, 12)) as pilot:
        await wait_for(pilot, lambda: "line 200" in frame(app))
        await shows(pilot, "following")
        assert "line 189" not in _rows(app)
        _append(run, "and more")
        await wait_for(pilot, lambda: _rows(app)[-1] == "and more")


async def test_scrolling_up_stays_there_until_the_end_is_asked_for(tmp_path: Path) -> None:
    run = _run(tmp_path, NUMBERED)
    app = _Shown(run)
    async with app.run_test(size=(60, 12)) as pilot:
        await _focused(pilot)
        await pilot.press("pageup")
        await wait_for(pilot, lambda: "line 190 of 200" in frame(app))
        before = _rows(app)[1:]
        _append(run, *NUMBERED)
        await wait_for(pilot, lambda: "line 190 of 400" in frame(app))
        assert _rows(app)[1:] == before
        await pilot.press("home")
        await wait_for(pilot, lambda: _rows(app)[1] == "line 1")
        await pilot.press("end")
        await wait_for(pilot, lambda: "following" in frame(app))


async def test_the_wheel_scrolls_and_reaching_the_end_follows_again(tmp_path: Path) -> None:
    app = _Shown(_run(tmp_path, NUMBERED))
    async with app.run_test(size=(60, 12)) as pilot:
        lines = await _focused(pilot)
        lines.post_message(wheel_up(lines))
        await wait_for(pilot, lambda: not lines.following)
        await pilot.press("down", "down", "down")
        await wait_for(pilot, lambda: lines.following)


async def test_long_lines_are_cut_and_can_be_read_to_their_end(tmp_path: Path) -> None:
    app = _Shown(_run(tmp_path, ["x" * 60 + "数据很长" * 10 + "the end"]))
    async with app.run_test(size=(60, 6)) as pilot:
        await _focused(pilot)
        await wait_for(pilot, lambda: _rows(app)[1].endswith("x…"))
        await pilot.press(*["right"] * 8)
        await wait_for(pilot, lambda: _rows(app)[1].endswith("the end"))
        assert _rows(app)[1].startswith("…")
        await pilot.press(*["left"] * 9)
        await wait_for(pilot, lambda: _rows(app)[1].endswith("x…"))


async def test_nothing_in_a_log_is_markup_or_reaches_the_terminal(tmp_path: Path) -> None:
    app = _Shown(_run(tmp_path, ["[bold red]not markup[/] \x1b[2J\x1b]0;title\x07", "\x1b[32mgreen\x1b[0m"]))
    async with app.run_test(size=(80, 6)) as pilot:
        await wait_for(pilot, lambda: "green" in frame(app))
        await shows(pilot, r"[bold red]not markup[/] \x1b[2J\x1b]0;title\x07")
        assert "\x1b" not in frame(app)


async def test_a_word_is_found_and_its_matches_are_gone_through(tmp_path: Path) -> None:
    lines = [f"line {number}{' Out Of Memory' if number % 50 == 7 else ''}" for number in range(200)]
    app = _Shown(_run(tmp_path, lines))
    async with app.run_test(size=(80, 12)) as pilot:
        shown = await _focused(pilot)
        await pilot.press("slash", *"of memory", "enter")
        await wait_for(pilot, lambda: "4 of 4" in frame(app))
        assert shown.current == 157
        await shows(pilot, "line 157 Out Of Memory")
        await pilot.press("n")
        await wait_for(pilot, lambda: "1 of 4" in frame(app))
        await shows(pilot, "line 7 Out Of Memory")
        await pilot.press("N")
        await wait_for(pilot, lambda: shown.current == 157)
        await pilot.press("escape")
        await wait_for(pilot, lambda: "of memory" not in _rows(app)[0])
        assert shown.current is None


async def test_what_is_written_after_a_search_is_found_too(tmp_path: Path) -> None:
    run = _run(tmp_path, NUMBERED)
    app = _Shown(run)
    async with app.run_test(size=(80, 12)) as pilot:
        await _focused(pilot)
        await pilot.press("slash", *"oom", "enter")
        await wait_for(pilot, lambda: "0 found" in frame(app))
        _append(run, "OOM")
        await wait_for(pilot, lambda: "1 of 1" in frame(app))
        run.train_log.write_text("other words\noom\noom\n")
        await wait_for(pilot, lambda: "2 of 2" in frame(app))


async def test_each_rank_has_its_log(tmp_path: Path) -> None:
    run = _run(tmp_path, ["from rank 0"])
    app = _Shown(run)
    async with app.run_test(size=(80, 8)) as pilot:
        await _focused(pilot)
        await wait_for(pilot, lambda: "from rank 0" in frame(app))
        assert "rank 0 of" not in frame(app)
        run.ranks_dir.mkdir()
        for rank in (1, 10, 2):
            run.rank_log(rank).write_text(f"from rank {rank}\n")
        await wait_for(pilot, lambda: "rank 0 of 4" in frame(app))
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        await wait_for(pilot, lambda: "from rank 10" in frame(app))
        await pilot.press("right_square_bracket")
        await wait_for(pilot, lambda: "from rank 0" in frame(app))


async def test_a_log_that_is_not_there_yet_says_so(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "none")
    app = _Shown(run)
    async with app.run_test(size=(80, 8)) as pilot:
        await wait_for(pilot, lambda: "nothing yet" in frame(app))
        run.root.mkdir()
        run.train_log.write_text("first words")
        await wait_for(pilot, lambda: "first words" in frame(app))


async def test_a_hidden_log_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(tmp_path, NUMBERED)
    app = _Shown(run)
    async with app.run_test(size=(80, 8)) as pilot:
        await wait_for(pilot, lambda: "line 200" in frame(app))
        app.push_screen(Screen())
        await settle(pilot)
        read: list[None] = []
        monkeypatch.setattr(app.screen_stack[0].query_one(LogView), "_poll", lambda: read.append(None))
        ticks = app.screen_stack[0].query_one(LogView)._polls
        await wait_for(pilot, lambda: app.screen_stack[0].query_one(LogView)._polls > ticks + 2)
        assert not read
        app.pop_screen()
        await wait_for(pilot, lambda: read)
