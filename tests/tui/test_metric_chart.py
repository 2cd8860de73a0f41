"""One chart: what its title tells, what is seen of it, and that nothing is drawn in vain."""

from collections.abc import Sequence
from unittest.mock import patch

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.events import MouseMove, MouseScrollUp
from textual.geometry import Offset

from dpo_tui.metrics.history import History
from dpo_tui.text import Language
from dpo_tui.widgets.metric_chart import CHARTS, ChartSpec, MetricChart
from dpo_tui.widgets.plot import Plot
from tests.tui.charted import Shown, events, trained
from tests.tui.driving import frame, shows

SIZE = (60, 12)
SPECS = {spec.id: spec for spec in CHARTS}


def chart(spec: str = "loss", history: History | None = None) -> MetricChart:
    made = MetricChart(SPECS[spec])
    made.show(history or History())
    return made


@pytest.mark.parametrize("spec", CHARTS, ids=lambda spec: spec.id)
async def test_each_chart_as_it_looks(
    spec: ChartSpec, language: Language, snapshot: SnapshotAssertion
) -> None:
    app = Shown(chart(spec.id, trained(300, evaluated=60)))
    async with app.run_test(size=SIZE):
        assert frame(app) == snapshot


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_the_first_steps(steps: int, language: Language, snapshot: SnapshotAssertion) -> None:
    app = Shown(chart("loss", trained(steps)))
    async with app.run_test(size=SIZE):
        assert frame(app) == snapshot


async def test_a_metric_that_a_run_does_not_report_is_said_to_be_absent() -> None:
    history = History()
    history.take([{"type": "step", "step": step, "loss": 0.5} for step in range(1, 9)])
    app = Shown(chart("memory", history))
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "not reported by this run")


@pytest.mark.parametrize("theme", ["dpo-dark", "dpo-light", "ansi-dark", "ansi-light", "textual-dark"])
async def test_every_theme_has_a_colour_for_every_line(theme: str) -> None:
    app = Shown(chart("rewards", trained(100, evaluated=20)), theme)
    async with app.run_test(size=SIZE) as pilot:
        await shows(pilot, "chosen")


@pytest.mark.parametrize("size", [(1, 1), (9, 3), (20, 4), (13, 12)])
async def test_a_chart_without_room_breaks_nothing(size: tuple[int, int]) -> None:
    app = Shown(chart("loss", trained(100)))
    async with app.run_test(size=size):
        frame(app)


async def test_zoom_shows_the_newest_steps_and_follows_them() -> None:
    history = trained(300)
    made = chart("loss", history)
    app = Shown(made)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("tab", "plus", "plus")
        low, high = made.viewport.window(*made.extent())
        assert (round(low), high) == (192, 300)
        await shows(pilot, "zoomed")
        history.take([{"type": "step", "step": 400, "loss": 0.2}])
        made.show(history)
        assert made.viewport.window(*made.extent())[1] == 400
        await pilot.press("left")
        assert made.viewport.window(*made.extent())[1] < 400
        await pilot.press("0")
        assert made.viewport.window(*made.extent()) == (1, 400)
        assert "zoomed" not in frame(app)


async def test_the_mouse_zooms_where_it_points_and_drags() -> None:
    made = chart("loss", trained(300))
    app = Shown(made)
    async with app.run_test(size=SIZE) as pilot:
        await pilot._post_mouse_events([MouseScrollUp], made, offset=(20, 5))
        low, high = made.viewport.window(*made.extent())
        assert high - low < 299
        await pilot.mouse_down(made, offset=(30, 5))
        await pilot.hover(made, offset=(30, 5))
        app.screen._forward_event(_drag(made, 40))
        await pilot.pause()
        assert made.viewport.window(*made.extent())[0] < low
        await pilot.mouse_up(made, offset=(40, 5))


def _drag(made: MetricChart, x: int) -> MouseMove:
    at = made.region.offset + Offset(x, 5)
    return MouseMove(made, at.x, at.y, 10, 0, 1, False, False, False, at.x, at.y)


async def test_the_logarithmic_scale_is_offered_where_all_values_are_positive() -> None:
    for spec, offered in (("loss", True), ("margins", False)):
        made = chart(spec, trained(100))
        app = Shown(made)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("tab", "y")
            assert made.logarithmic is offered
            assert ("· log" in frame(app) or "  log" in frame(app)) is offered


async def test_smoothing_goes_round() -> None:
    made = chart("loss", trained(100))
    app = Shown(made)
    async with app.run_test(size=SIZE) as pilot:
        light = frame(app)
        await pilot.press("tab", "m")
        await shows(pilot, "strong smoothing")
        await pilot.press("m")
        await shows(pilot, "raw")
        await pilot.press("m")
        assert frame(app) == light


async def test_nothing_is_drawn_where_nothing_changed_or_nothing_is_seen() -> None:
    history, drawn = trained(100), []
    made = chart("loss", history)
    draw = Plot._draw

    def counted(plot: Plot, width: int, height: int) -> Sequence[object]:
        drawn.append(plot)
        return draw(plot, width, height)

    with patch.object(Plot, "_draw", counted):
        app = Shown(made)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            before = len(drawn)
            made.show(history)
            await pilot.pause()
            assert len(drawn) == before
            made.display = False
            await pilot.pause()
            history.take(events(120)[-10:])
            made.show(history)
            await pilot.pause()
            assert len(drawn) == before
            made.display = True
            await pilot.pause()
            frame(app)
            assert len(drawn) > before


async def test_numbers_that_no_axis_can_hold_break_nothing() -> None:
    history = History()
    history.take(
        [
            {"type": "step", "step": step, "loss": value}
            for step, value in enumerate([1e99, -1e99, 0, None, 1e-99])
        ]
    )
    app = Shown(chart("loss", history))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("tab", "y")
        frame(app)


async def test_help_explains_the_chart(language: Language) -> None:
    for spec in CHARTS:
        assert MetricChart(spec).help_text().startswith("## ")


async def test_a_title_leaves_out_what_does_not_fit_and_cuts_no_word() -> None:
    made = chart("loss", trained(300, evaluated=60))
    app = Shown(made)
    async with app.run_test(size=(40, 8)) as pilot:
        await pilot.press("tab", "plus", "y", "m")
        title = frame(app).splitlines()[0]
        assert "zoomed" in title
        assert "smoothing" not in title
        assert not title.endswith("·")
