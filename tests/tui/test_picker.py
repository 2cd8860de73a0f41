"""Choosing a repo of the hub, and a path of this machine."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Input, Static

from dpo_tui.app import DpoApp
from dpo_tui.screens.base import DpoModal, DpoScreen
from dpo_tui.text import Language
from dpo_tui.widgets.path_picker import FittingTree, PathPicker
from dpo_tui.widgets.picker import Picker
from tests.hub_server import HubServer, serving
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for

TAGS = ["text-generation", "safetensors", "license:apache-2.0"]
MODELS = (
    "Qwen/Qwen2.5-0.5B-Instruct",
    "meta-llama/Llama-3.2-1B-Instruct",
    "HuggingFaceTB/SmolLM2-135M-Instruct",
)
NOTHING = object()


class Chooser(DpoApp):
    """The app with nothing but a picker, and what was chosen in it."""

    chosen: Any = NOTHING

    def open_home(self) -> None:
        self.push_screen(DpoScreen())

    def took(self, result: str | None) -> None:
        self.chosen = result


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with three models, and one of them on this disk."""
    with serving(HubServer()) as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        for at, name in enumerate(MODELS):
            facts = {
                "downloads": 10 ** (7 - at),
                "tags": TAGS,
                "safetensors": {"total": 494_032_768 * (at + 1)},
            }
            served.add(name, {}).facts = facts
        served.repos["model", MODELS[1]].gated = True
        here = tmp_path / "hub" / "models--owner--downloaded" / "snapshots" / "0123"
        here.mkdir(parents=True)
        (here / "config.json").write_text("{}")
        yield served


@asynccontextmanager
async def opened(modal: DpoModal[str], size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[int]]:
    app = Chooser(Path("runs"))
    async with app.run_test(size=size) as pilot:
        app.push_screen(modal, app.took)
        await wait_for(pilot, lambda: app.screen is modal and modal.is_mounted)
        yield pilot


def status(pilot: Pilot[int]) -> str:
    return str(pilot.app.screen.query_one("#status", Static).content)


def chosen(pilot: Pilot[int]) -> Any:
    assert isinstance(pilot.app, Chooser)
    return pilot.app.chosen


@pytest.mark.parametrize("size", SIZES)
async def test_results_of_the_hub(
    hub: HubServer, language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with opened(Picker("model", recent=["me/tuned"]), size) as pilot:
        await wait_for(pilot, lambda: "5" in status(pilot))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_offline_what_is_on_the_disk_is_shown(
    hub: HubServer,
    language: Language,
    size: tuple[int, int],
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    async with opened(Picker("model"), size) as pilot:
        await wait_for(
            pilot, lambda: "HF_HUB_OFFLINE" in status(pilot) and "owner/downloaded" in frame(pilot.app)
        )
        assert frame(pilot.app) == snapshot
    assert not hub.requests


async def test_enter_takes_the_marked_line_and_the_arrows_move_it(hub: HubServer) -> None:
    async with opened(Picker("model")) as pilot:
        await wait_for(pilot, lambda: "4 found" in status(pilot))
        await pilot.press("down", "down", "up", "enter")
        await wait_for(pilot, lambda: chosen(pilot) is not NOTHING)
        assert chosen(pilot) == MODELS[0]


async def test_typing_searches_and_takes_a_repo_nobody_lists(hub: HubServer) -> None:
    async with opened(Picker("model")) as pilot:
        await pilot.press(*"me/own")
        await wait_for(pilot, lambda: hub.requests and "searching" not in status(pilot))
        await shows(pilot, "as typed")
        await pilot.press("enter")
        await wait_for(pilot, lambda: chosen(pilot) is not NOTHING)
        assert chosen(pilot) == "me/own"


async def test_a_key_pressed_in_haste_asks_the_hub_once(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(Picker("model")) as pilot:
        await wait_for(pilot, lambda: "4 found" in status(pilot))
        before = len(hub.requests)
        await pilot.press(*"llama")
        await wait_for(pilot, lambda: "1 found" in status(pilot))
        assert len(hub.requests) - before <= 2
        assert "Qwen" not in frame(pilot.app)


async def test_escape_chooses_nothing(hub: HubServer) -> None:
    async with opened(Picker("dataset")) as pilot:
        await pilot.press("escape")
        await wait_for(pilot, lambda: chosen(pilot) is not NOTHING)
        assert chosen(pilot) is None


async def test_a_click_chooses(hub: HubServer) -> None:
    async with opened(Picker("model"), (120, 40)) as pilot:
        await wait_for(pilot, lambda: "4 found" in status(pilot))
        await pilot.click("OptionList", offset=(5, 2))
        await wait_for(pilot, lambda: chosen(pilot) is not NOTHING)
        assert chosen(pilot) == MODELS[1]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 500}, "the hub has a fault"),
        ({"status": 429}, "too many requests"),
        ({"status": 200, "body": b"<html>"}, "HF_ENDPOINT is no hub"),
        ({"kind": "drop"}, "cannot be reached"),
    ],
)
async def test_a_hub_that_fails_is_said_in_words(hub: HubServer, fault: dict[str, Any], words: str) -> None:
    hub.fail("GET /api/models", **fault)
    async with opened(Picker("model")) as pilot:
        await wait_for(pilot, lambda: words in status(pilot) and "owner/downloaded" in frame(pilot.app))


async def test_hostile_names_are_text(hub: HubServer) -> None:
    hub.add("evil/[/x]\x1b]0;title\x07[red]", {}).facts = {"tags": TAGS}
    async with opened(Picker("model", recent=["[/y]", "a\nb"]), (120, 40)) as pilot:
        await wait_for(pilot, lambda: "[/x]" in frame(pilot.app))
        shown = frame(pilot.app)
        assert "[red]" in shown
        assert "[/y]" in shown
        assert "\x1b" not in shown


@pytest.fixture
def files(quiet_home: Path) -> Path:
    """The working directory with pairs and a model in it."""
    for name in (
        "pairs/one.jsonl",
        "pairs/two.jsonl.gz",
        "pairs/notes.txt",
        "chat/config.json",
        ".hid/x.csv",
    ):
        (quiet_home / name).parent.mkdir(parents=True, exist_ok=True)
        (quiet_home / name).write_text("{}")
    return quiet_home


@pytest.mark.parametrize("size", SIZES)
async def test_a_tree_of_what_fits(
    files: Path, language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with opened(PathPicker("data"), size) as pilot:
        await wait_for(pilot, lambda: "pairs" in frame(pilot.app))
        assert frame(pilot.app) == snapshot


async def test_tab_completes_the_path_and_enter_takes_it(files: Path) -> None:
    async with opened(PathPicker("data")) as pilot:
        field = pilot.app.screen.query_one(Input)
        await pilot.press("p", "tab")
        await wait_for(pilot, lambda: field.value == "pairs/")
        await pilot.press("t", "tab")
        await wait_for(pilot, lambda: field.value == "pairs/two.jsonl.gz")
        await wait_for(pilot, lambda: "a file of pairs" in status(pilot))
        await pilot.press("enter")
        await wait_for(pilot, lambda: chosen(pilot) is not NOTHING)
        assert chosen(pilot) == "pairs/two.jsonl.gz"


async def test_a_model_is_taken_out_of_the_tree(files: Path) -> None:
    async with opened(PathPicker("model")) as pilot:
        await wait_for(pilot, lambda: "chat" in frame(pilot.app))
        await pilot.press("down", "down", "enter")
        await wait_for(pilot, lambda: chosen(pilot) is not NOTHING)
        assert chosen(pilot) == str(files / "chat")


async def test_a_path_of_nothing_or_of_another_kind_is_not_taken(files: Path) -> None:
    async with opened(PathPicker("data", typed="pairs/notes.txt")) as pilot:
        await wait_for(pilot, lambda: "Pairs are read from" in status(pilot))
        await pilot.press("enter", *"x", "enter")
        await wait_for(pilot, lambda: "nothing at this path" in status(pilot))
        assert chosen(pilot) is NOTHING


async def test_hidden_files_are_shown_on_a_key(files: Path) -> None:
    async with opened(PathPicker("data")) as pilot:
        await wait_for(pilot, lambda: "pairs" in frame(pilot.app))
        assert ".hid" not in frame(pilot.app)
        await pilot.press("ctrl+e")
        await wait_for(pilot, lambda: ".hid" in frame(pilot.app))
        assert pilot.app.screen.query_one(FittingTree).hidden


async def test_a_folder_that_cannot_be_read_completes_nothing(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: object) -> object:
        raise PermissionError(13, "Permission denied")

    async with opened(PathPicker("data", typed="pa")) as pilot:
        monkeypatch.setattr("dpo_tui.local_paths.os.scandir", refused)
        await pilot.press("tab", "i")
        await wait_for(pilot, lambda: "nothing at this path" in status(pilot))
        assert pilot.app.screen.query_one(Input).value == "pai"
