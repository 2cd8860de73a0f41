"""The wizard's second step: the model, what is known of it, and adapters."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Input, Static

from dpo_tui.preview import PreviewClient, PreviewError
from dpo_tui.text import Language
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.field import Field
from dpo_tui.widgets.path_picker import PathPicker
from dpo_tui.widgets.picker import Picker
from dpo_tui.wizard import model as model_step
from dpo_tui.wizard.model import ModelStep
from dpo_tui.wizard.origins import KNOWN, KNOWN_SCOPE, TWINS
from engine.models.hub_errors import Repo, gated
from tests.tui.driving import SIZES, assert_sound, frame, wait_for
from tests.tui.wizard_app import opened
from tests.tui.wizard_preview import BUILTIN_FACTS, PlayedPreview, PreviewedApp

HUB = '[model]\nid = "meta-llama/Llama-3.2-1B"\n[[data.sources]]\npath = "owner/pairs"\n'


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_step, "PAUSE", 0.0)


@asynccontextmanager
async def at_model(
    preview: PreviewClient, config: str | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Pilot[Any], ModelStep]]:
    """The wizard at its second step."""
    path = Path("own.toml") if config is not None else None
    if path is not None:
        path.write_text(config or "")
    async with PreviewedApp(preview, path).run_test(size=size) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n")
        step = app.step
        assert isinstance(step, ModelStep)
        yield pilot, step


def facts(step: ModelStep) -> str:
    return str(step.query_one("#facts", Static).content)


@pytest.mark.parametrize("size", SIZES)
async def test_the_builtin_model(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with at_model(PlayedPreview(model=BUILTIN_FACTS), size=size) as (pilot, step):
        await wait_for(pilot, lambda: "135M" in facts(step))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot
        assert step.parameters == 134_515_008
        assert step.shape is not None
        assert (step.shape.layers, step.shape.queries, step.shape.keys) == (30, 576, 192)


@pytest.mark.parametrize("size", SIZES)
async def test_a_model_that_is_being_read(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with at_model(PlayedPreview(), size=size) as (pilot, _):
        await pilot.pause()
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_gated_model(language: Language, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    error = gated(Repo("meta-llama/Llama-3.2-1B"), "find")
    preview = PlayedPreview(model=PreviewError(error.code, error.text, error.params))
    async with at_model(preview, HUB, size) as (pilot, step):
        await wait_for(pilot, lambda: "✗" in facts(step))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot
        assert (step.parameters, step.shape) == (None, None)


async def test_a_preview_that_died_is_said_to(language: Language) -> None:
    preview = PlayedPreview(model=PreviewError("preview.died", "The process died.", {"status": -9}))
    async with at_model(preview) as (pilot, step):
        expected = {"en": "The process died.", "zh": "预览进程意外结束"}[language]
        await wait_for(pilot, lambda: expected in facts(step))


async def test_a_model_is_read_when_one_comes_to_it_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    preview = PlayedPreview(model=BUILTIN_FACTS)
    async with at_model(preview) as (pilot, step):
        await wait_for(pilot, lambda: "135M" in facts(step))
        await pilot.press("ctrl+n", "ctrl+p")
        await pilot.pause()
        assert preview.questions("model") == [{"model": {"source": "builtin", "id": "smollm2-135m-instruct"}}]


async def test_a_hub_that_was_away_is_asked_again_by_whoever_comes_back() -> None:
    answers = iter([PreviewError("hub.unreachable", "no"), {**BUILTIN_FACTS, "cached": False}])
    preview = PlayedPreview(model=lambda _: next(answers))
    async with at_model(preview, HUB) as (pilot, step):
        await wait_for(pilot, lambda: "✗" in facts(step))
        await pilot.press("ctrl+p", "ctrl+n")
        await wait_for(pilot, lambda: "↓ 98.4 MB to download" in facts(step))


async def test_another_source_has_a_name_that_is_valid_there() -> None:
    async with at_model(PlayedPreview(model=BUILTIN_FACTS)) as (pilot, step):
        await pilot.press("left")
        assert step.draft.get("model.source") == "local"
        assert not step.problems()
        await pilot.press("left")
        assert (step.draft.get("model.source"), step.draft.get("model.id")) == (
            "modelscope",
            KNOWN_SCOPE["model"],
        )
        await pilot.press("left")
        assert (step.draft.get("model.source"), step.draft.get("model.id")) == ("hub", KNOWN["model"])
        await pilot.press("right", "right", "right")
        assert step.draft.get("model.id") == "smollm2-135m-instruct"
        assert not step.problems()


async def test_a_local_model_nearby_is_found(quiet_home: Path) -> None:
    (quiet_home / "chat").mkdir()
    (quiet_home / "chat" / "config.json").write_text("{}")
    async with at_model(PlayedPreview()) as (pilot, step):
        await pilot.press("left")
        assert step.draft.get("model.id") == "chat"


async def test_what_was_used_before_comes_back() -> None:
    async with at_model(PlayedPreview(model=BUILTIN_FACTS), HUB) as (pilot, step):
        await wait_for(pilot, lambda: "135M" in facts(step))
    async with at_model(PlayedPreview(model=BUILTIN_FACTS)) as (pilot, step):
        await pilot.press("left", "left", "left")
        assert step.draft.get("model.id") == "meta-llama/Llama-3.2-1B"


async def test_what_only_the_hub_has_goes_with_it() -> None:
    commit = "0123456789" * 4
    own = HUB.replace("[[", "[model.lora]\nrank = 4\n[[").replace(
        '"\n[model', f'"\nrevision = "{commit}"\ntrust_remote_code = true\n[model'
    )
    async with at_model(PlayedPreview(), own) as (pilot, step):
        assert step.draft.get("model.revision") == commit
        await pilot.press("right")
        assert not step.draft.given("model.revision")
        assert not step.draft.given("model.trust_remote_code")
        assert step.draft.get("model.lora.rank") == 4
        assert not step.problems()


async def test_enter_on_the_name_opens_the_list_of_the_hub() -> None:
    async with at_model(PlayedPreview(), HUB) as (pilot, step):
        step.query_one("#model-id Input", Input).focus()
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press(*"owner/other", "enter")
        await wait_for(pilot, lambda: step.draft.get("model.id") == "owner/other")
        assert step.query_one("#model-id Input", Input).value == "owner/other"


async def test_enter_on_the_name_opens_the_tree_of_files(quiet_home: Path) -> None:
    (quiet_home / "tiny.gguf").write_text("")
    async with at_model(PlayedPreview()) as (pilot, step):
        await pilot.press("left")
        assert step.draft.get("model.id") == "tiny.gguf"
        step.query_one("#model-id Input", Input).focus()
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PathPicker))
        await pilot.press("escape")
        assert step.draft.get("model.id") == "tiny.gguf"


async def test_a_name_that_cannot_be_is_not_read() -> None:
    preview = PlayedPreview(model=BUILTIN_FACTS)
    async with at_model(preview, HUB.replace("meta-llama/", "no repo/")) as (pilot, step):
        await wait_for(pilot, lambda: "once its name is right" in facts(step))
        assert step.problems() == ["model.id"]
        assert not preview.questions("model")


async def test_adapters_are_switched_on_and_off_with_their_numbers() -> None:
    async with at_model(PlayedPreview(model=BUILTIN_FACTS)) as (pilot, step):
        before = step.draft.text
        step.query_one("#weights Choice", Choice).focus()
        await pilot.press("right")
        assert tomllib.loads(step.draft.text)["model"]["lora"] == {"rank": 16}
        assert step.query_one("#adapters").display
        step.draft.set("model.lora.alpha", 8.0)
        await pilot.press("right", "right")
        assert tomllib.loads(step.draft.text)["model"]["lora"] == {"rank": 16, "alpha": 8.0}
        await pilot.press("left")
        assert tomllib.loads(step.draft.text) == tomllib.loads(before)


async def test_a_frozen_model_can_be_kept_in_4_bits() -> None:
    own = HUB.replace("[[", "[model.lora]\nrank = 4\n[[", 1)
    async with at_model(PlayedPreview(model=BUILTIN_FACTS), own) as (pilot, step):
        await wait_for(pilot, lambda: "Quantization" in frame(pilot.app))
        (field,) = (field for field in step.query(Field) if field.key == "model.lora.quantization")
        field.query_one(Choice).focus()
        await pilot.press("right")
        assert tomllib.loads(step.draft.text)["model"]["lora"] == {"rank": 4, "quantization": "nf4"}
        await pilot.press("left")
        assert tomllib.loads(step.draft.text)["model"]["lora"] == {"rank": 4}


async def test_a_rate_too_small_for_adapters_is_warned_of() -> None:
    slow = HUB + "[optimizer]\nlearning_rate = 5e-7\n"
    async with at_model(PlayedPreview(), slow) as (pilot, step):
        assert "1e-5" not in frame(pilot.app)
        step.query_one("#weights Choice", Choice).focus()
        await pilot.press("right")
        rate = step.query_one("#rate", Static)
        await wait_for(pilot, lambda: rate.display and "it is 5e-7 now" in str(rate.content))


async def test_code_of_others_can_be_trusted_where_a_model_needs_it() -> None:
    preview = PlayedPreview(model=PreviewError("model.remote_code", "needs code", {}))
    async with at_model(preview, HUB) as (pilot, step):
        await wait_for(pilot, lambda: "✗" in facts(step))
        await wait_for(pilot, lambda: "Trust remote code" in frame(pilot.app))


async def test_a_template_keeps_its_model_on_the_other_hub() -> None:
    here, there = next(iter(TWINS.items()))
    config = HUB.replace("meta-llama/Llama-3.2-1B", here)
    async with at_model(PlayedPreview(model=BUILTIN_FACTS), config) as (pilot, step):
        await pilot.press("right")
        assert (step.draft.get("model.source"), step.draft.get("model.id")) == ("modelscope", there)
        await pilot.press("left")
        assert (step.draft.get("model.source"), step.draft.get("model.id")) == ("hub", here)


async def test_hostile_facts_are_text() -> None:
    hostile = {
        **BUILTIN_FACTS,
        "license": "[/x]\x1b]0;t\x07",
        "architecture": "[red]",
        "dtype": "a\nb",
        "layers": None,
    }
    async with at_model(PlayedPreview(model=hostile)) as (pilot, step):
        await wait_for(pilot, lambda: "[/x]" in facts(step))
        assert "\x1b" not in frame(pilot.app)


async def test_a_model_of_modelscope_is_typed_and_asked_for_again_when_it_was_away() -> None:
    answers = iter([PreviewError("modelscope.unreachable", "no"), {**BUILTIN_FACTS, "cached": False}])
    preview = PlayedPreview(
        model=lambda asked: next(answers) if asked["model"].get("source") == "modelscope" else BUILTIN_FACTS
    )
    config = HUB.replace("[model]\n", '[model]\nrevision = "main"\n')
    async with at_model(preview, config) as (pilot, step):
        await pilot.press("right")
        assert tomllib.loads(step.draft.text)["model"] == {"source": "modelscope", "id": KNOWN_SCOPE["model"]}
        await wait_for(pilot, lambda: "There is no search here" in frame(pilot.app))
        assert step.query_one(".of-hub").display
        await wait_for(pilot, lambda: "✗" in facts(step))
        step.query_one("#model-id Input", Input).focus()
        await pilot.press("enter")
        assert not isinstance(pilot.app.screen, Picker | PathPicker)
        await pilot.press("ctrl+p", "ctrl+n")
        await wait_for(pilot, lambda: "135M" in facts(step))
        assert preview.questions("model")[-1]["model"]["source"] == "modelscope"
