"""The fourth step: this machine, the launchers there are, the run, and what becomes of the model."""

import threading

import pytest
from syrupy.assertion import SnapshotAssertion

from dpo_tui import host
from dpo_tui.text import Language, t
from dpo_tui.widgets.field import Field
from dpo_tui.wizard import machine
from dpo_tui.wizard.kinds import kind_of, leaf_keys
from dpo_tui.wizard.launcher import LAUNCHERS, machine_text
from dpo_tui.wizard.machine import Gpu, Machine, look
from tests.tui.driving import SIZES, assert_sound, frame, wait_for
from tests.tui.wizard_app import WizardApp, drawn, opened, stand_still


@pytest.mark.parametrize("size", SIZES)
async def test_a_machine_with_gpus(
    size: tuple[int, int], language: Language, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_still(monkeypatch, gpus=2)
    async with WizardApp().run_test(size=size) as pilot:
        app = await opened(pilot)
        await pilot.press(*["ctrl+n"] * 3)
        await wait_for(pilot, lambda: "2 × NVIDIA H100" in frame(app))
        await drawn(pilot)
        assert_sound(app)
        assert frame(app) == snapshot


async def test_a_machine_without_a_gpu_says_that_it_trains_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_still(monkeypatch)
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press(*["ctrl+n"] * 3)
        await wait_for(pilot, lambda: "it trains on the CPU" in frame(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_driver_that_never_answers_is_given_up_and_asked_again_later(
    size: tuple[int, int], language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(machine, "PATIENCE", 0.05)
    monkeypatch.setattr(host, "gpus", lambda: answered.wait(60) and ())
    async with WizardApp().run_test(size=size) as pilot:
        app = await opened(pilot)
        await pilot.press(*["ctrl+n"] * 3)
        await wait_for(pilot, lambda: "0.05" in frame(app))
        assert_sound(app)
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: "0.05" in frame(app))
        answered.set()
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: t("wizard.launcher.no_gpu") in frame(app))


async def test_a_driver_that_fails_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> tuple[host.Gpu, ...]:
        raise RuntimeError("version mismatch")

    monkeypatch.setattr(host, "gpus", fails)
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press(*["ctrl+n"] * 3)
        await wait_for(pilot, lambda: "could not be counted: version mismatch" in frame(app))


async def test_every_key_of_the_launch_table_is_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press(*["ctrl+n"] * 3)
        await wait_for(pilot, lambda: app.step.step_id == "launcher")
        fields = {field.key for field in app.step.query(Field)}
        assert {"run.name", "run.dir", *leaf_keys()["launch"]} <= fields


def test_every_launcher_of_the_schema_is_registered() -> None:
    assert set(kind_of("launch.launcher").choices) == set(LAUNCHERS)


def test_different_gpus_are_counted_by_their_kind() -> None:
    gpus = (Gpu("A", 10**10), Gpu("[B]", 10**10), Gpu("A", 10**10))
    lines = machine_text(Machine(4, 10**10, gpus)).plain.split("\n")
    assert lines[:2] == ["2 × A  10 GB", "1 × [B]  10 GB"]


def test_this_machine_has_cores_and_memory() -> None:
    seen = look()
    assert seen.cores >= 1
    assert seen.memory > 1 << 28
