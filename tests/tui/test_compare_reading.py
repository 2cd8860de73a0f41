"""Long histories are compared without keeping a person waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dpo_tui.follow import Changes, Follower
from dpo_tui.screens.compare import CompareScreen
from dpo_tui.widgets.compare_plot import METRICS, ComparePlot
from tests.tui.driving import wait_for
from tests.tui.test_compare import Compares, two

SLICES = 100_000


class Slices:
    """Histories that take many slices, unless nobody reads on."""

    def __init__(self) -> None:
        self.left = SLICES

    def poll(self, *_: object) -> Changes:
        self.left -= 1
        return Changes(behind=self.left > 0)


@contextmanager
def long(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slices]:
    with monkeypatch.context() as patched:
        slices = Slices()
        patched.setattr(Follower, "poll", slices.poll)
        yield slices
        slices.left = 0


def comparing(app: Compares) -> CompareScreen:
    assert isinstance(app.screen, CompareScreen)
    return app.screen


async def test_a_key_is_answered_while_long_histories_are_read(
    quiet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Compares(*two(quiet_home))
    with long(monkeypatch) as slices:
        async with app.run_test(size=(120, 40)) as pilot:
            await wait_for(pilot, lambda: isinstance(app.screen, CompareScreen))
            await pilot.press("2")
            assert comparing(app).query_one(ComparePlot).compared is METRICS[1]
            assert slices.left > 0


async def test_a_tick_begins_no_second_chain_of_slices(
    quiet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Compares(*two(quiet_home))
    with long(monkeypatch) as slices:
        async with app.run_test(size=(120, 40)) as pilot:
            await wait_for(pilot, lambda: isinstance(app.screen, CompareScreen))
            left = slices.left
            comparing(app)._tick()
            assert slices.left == left


async def test_a_comparison_is_left_while_the_configs_are_compared(quiet_home: Path) -> None:
    app = Compares(*two(quiet_home))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.press("escape")
        await app.workers.wait_for_complete()
        assert app.is_running
