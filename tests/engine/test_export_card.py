"""Model cards: any value survives the YAML, nothing becomes markup, no directory is published."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.schema import Config
from engine.export.card import CURVES, CardFacts, card_text, draw_curves, fenced, quoted, without_places
from engine.models.resolve import ResolvedModel

STEPS = [{"step": n, "loss": 0.7, "rewards/margins": 0.1, "rewards/accuracies": 0.6} for n in range(1, 4)]


def facts(**changes: Any) -> CardFacts:
    base_id = changes.pop("base_id", "owner/base")
    source = changes.pop("source", "hub")
    path = changes.pop("dataset", "owner/pairs")
    config = Config.model_validate(
        {"model": {"id": base_id, "source": source}, "data": {"sources": [{"path": path, "source": source}]}}
    )
    base = ResolvedModel(source, base_id, Path("/nowhere"), None, "a" * 40, False)
    defaults: dict[str, Any] = {"step": 3, "epoch": 0.5, "metrics": {"eval_loss": 0.6}, "evals": []}
    rest: dict[str, Any] = {"dtype": "bfloat16", "adapter": False, "repo": None, "chat": True, "steps": STEPS}
    return CardFacts(config=config, base=base, **{**defaults, **rest, **changes})


HOSTILE = [
    "---",
    '"',
    "a\nb: c",
    "<script>alert(1)</script>",
    "'",
    "```",
    "[x](y)",
    "\u2028",
    "{{ x }}",
    "null",
    "- 1",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_ids_come_back_from_the_card_unchanged(value: str) -> None:
    card = ModelCard(str(card_text(facts(base_id=value, dataset=value), curves=False)))
    assert card.data.get("base_model") == value
    assert card.data.get("datasets") == [value]
    assert "dpo-tui" in card.data.get("tags")


# YAML takes U+0085 for a line break. No id holds it: a config with control characters is refused.
IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\x85"), min_size=1, max_size=60
)


@settings(deadline=None, max_examples=60)
@given(IDS)
def test_any_id_comes_back_from_the_card_unchanged(value: str) -> None:
    card = ModelCard(str(card_text(facts(base_id=value, dataset=value), curves=False)))
    assert card.data.get("base_model") == value
    assert card.data.get("datasets") == [value]


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=40))
def test_quoted_text_is_one_line_that_its_content_cannot_end(value: str) -> None:
    text = quoted(value)
    fence = text[: len(text) - len(text.lstrip("`"))]
    inside = text[len(fence) : -len(fence)]
    assert "\n" not in text
    assert fence
    assert fence not in inside


@given(st.text(alphabet="`\na", max_size=40))
def test_code_block_ends_where_it_should(value: str) -> None:
    lines = fenced(value, "toml").split("\n")
    assert lines[-1] not in lines[1:-1]
    assert set(lines[-1]) == {"`"}


def test_card_says_what_was_done_and_what_came_out() -> None:
    text = str(card_text(facts(), curves=True))
    for expected in (
        "owner/base",
        "owner/pairs",
        "Rafailov",
        "beta = 0.1",
        "3 steps of 16 pairs",
        CURVES,
        "| 0.6 |",
    ):
        assert expected in text
    assert "[optimizer]" in text
    assert "None" not in text


def test_card_of_an_adapter_shows_how_to_load_one() -> None:
    card = card_text(facts(adapter=True, repo="me/mine"), curves=False)
    assert card.data.get("library_name") == "peft"
    assert "AutoPeftModelForCausalLM" in card.text
    assert "path = 'me/mine'" in card.text


def test_model_without_a_template_is_shown_without_one() -> None:
    text = card_text(facts(chat=False), curves=False).text
    assert "apply_chat_template" not in text
    compile(text.split("```python\n")[1].split("```")[0], "snippet", "exec")


def test_local_paths_are_cut_to_their_names() -> None:
    card = str(
        card_text(facts(source="local", base_id="/home/alice/base", dataset="/data/alice/p.jsonl"), False)
    )
    assert "alice" not in card
    assert "base_model" not in card
    assert "p.jsonl" in card


def test_config_without_places_is_still_a_config() -> None:
    config = facts(source="local", base_id="/home/alice/base", dataset="/data/alice/p.jsonl").config
    public = without_places(config)
    assert public.model.id == "base"
    assert public.data.sources[0].path == "p.jsonl"
    assert public.optimizer == config.optimizer


def test_curves_are_drawn_whatever_the_events_hold(tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = [
        *STEPS,
        {"step": 4, "loss": None},
        {"step": "x", "loss": 1.0},
        {"loss": 2.0},
    ]
    draw_curves(tmp_path / CURVES, steps, [{"step": 3, "loss": 0.6}])
    assert (tmp_path / CURVES).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / CURVES).stat().st_size < 100_000
