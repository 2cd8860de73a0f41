"""Model cards: any value survives the YAML, nothing becomes markup, no directory is published."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engine.config.schema import Config
from engine.export.card import CURVES, CardFacts, card_text, fenced, quoted, without_places
from engine.export.curves import draw_curves
from engine.export.proof import Proof
from engine.models.resolve import ResolvedModel

STEPS = [{"step": n, "loss": 0.7, "rewards/margins": 0.1, "rewards/accuracies": 0.6} for n in range(1, 4)]


def facts(**changes: Any) -> CardFacts:
    base_id = changes.pop("base_id", "owner/base")
    source = changes.pop("source", "hub")
    path = changes.pop("dataset", "owner/pairs")
    config = Config.model_validate(
        {"model": {"id": base_id, "source": source}, "data": {"sources": [{"path": path, "source": source}]}}
    )
    folder = changes.pop("folder", Path("/nowhere"))
    base = ResolvedModel(source, base_id, folder, None, "a" * 40, False)
    defaults: dict[str, Any] = {"step": 3, "epoch": 0.5, "metrics": {"eval_loss": 0.6}, "evals": []}
    rest: dict[str, Any] = {"dtype": "bfloat16", "adapter": False, "repo": None, "chat": True, "steps": STEPS}
    return CardFacts(config=config, base=base, **{**defaults, **rest, **changes})


HOSTILE = [
    "---",
    "\n---\n",
    '"',
    "a\nb: c",
    "<script>alert(1)</script>",
    "'",
    "```",
    "~~~\n```",
    "[x](y)",
    "\x85",
    "a\u2028b\u2029",
    "\ufeff",
    "\u202eevil",
    "{{ x }}",
    "{% raw %}",
    "null",
    "- 1",
    "!!python/object/apply:os.system ['true']",
    "&a *a",
    "%YAML 1.2",
    "\\x41\\",
    "👍",
    "名前",
    "\x00\x1b[31m",
    "a b " * 1000,
]


def matter(card: str) -> Any:
    """The front matter as the hub's own pattern cuts it out."""
    found = REGEX_YAML_BLOCK.search(card)
    assert found
    return yaml.safe_load(found[2])


def hostile_card(value: str) -> str:
    """A card with the value in all places that somebody else fills in."""
    return card_text(facts(base_id=value, dataset=value, repo=value), curves=False)


def shape(card: str) -> list[tuple[str, str]]:
    """What Markdown makes of the body: blocks, and inline code as such; never what is in them."""
    found = REGEX_YAML_BLOCK.search(card)
    assert found
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(card[found.end() :])
    inline = [(child.type, "") for token in tokens for child in token.children or []]
    return [(token.type, token.info) for token in tokens] + [kind for kind in inline if kind[0] != "text"]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_values_and_text(value: str) -> None:
    card = hostile_card(value)
    assert matter(card)["base_model"] == value
    assert matter(card)["datasets"] == [value]
    assert shape(card) == shape(hostile_card("plain"))


ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
AWKWARD = st.text(
    st.sampled_from("-`~'\"<>&!{}[]()#\\|:*_ \t\n\r\x85\u2028\ufeffa1"), min_size=1, max_size=30
)


@settings(deadline=None, max_examples=150)
@given(ANYTHING | AWKWARD)
def test_any_value_stays_value_and_text(value: str) -> None:
    card = hostile_card(value)
    assert matter(card)["base_model"] == value
    assert matter(card)["datasets"] == [value]
    assert shape(card) == shape(hostile_card("plain"))
    assert card_as_the_library_reads_it(card) == value


def card_as_the_library_reads_it(card: str) -> object:
    return ModelCard(card).data.get("base_model")


def test_license_of_the_base_is_a_value_too(tmp_path: Path) -> None:
    value = "mit\x85tags: [x]\n---\n" + "x y " * 1250
    (tmp_path / "README.md").write_text(f"---\nlicense: {json.dumps(value)}\n---\n")
    assert matter(card_text(facts(folder=tmp_path), curves=False))["license"] == value


def test_front_matter_reads_like_a_person_wrote_it() -> None:
    assert card_text(facts(), curves=False).startswith(
        '---\nbase_model: "owner/base"\ndatasets:\n- "owner/pairs"\n'
    )


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
    text = card_text(facts(), curves=True)
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
    assert matter(card)["library_name"] == "peft"
    assert "AutoPeftModelForCausalLM" in card
    assert "path = 'me/mine'" in card


def test_card_says_that_the_export_was_verified_and_only_then() -> None:
    versions = {"transformers": "5.2.0", "torch": "2.11.0"}
    proof = Proof(
        prompts=3,
        tokens=99,
        trained_prompts=True,
        max_difference=0.0,
        bitwise=True,
        merge_difference=1.25e-5,
        merge_bound=0.002,
        seconds=6.5,
        attention="sdpa",
        threads=2,
        versions=versions,
    )
    said = card_text(facts(proof=proof), curves=False)
    assert "fresh process (transformers 5.2.0, torch 2.11.0, CPU)" in said
    assert "3 prompts of its training data (99 tokens), bit for bit" in said
    assert "moved logits by up to 1e-05 in fp32, of 0.002 allowed" in said
    assert "erified" not in card_text(facts(), curves=False)


def test_model_without_a_template_is_shown_without_one() -> None:
    text = card_text(facts(chat=False), curves=False)
    assert "apply_chat_template" not in text
    compile(text.split("```python\n")[1].split("```")[0], "snippet", "exec")


def test_local_paths_are_cut_to_their_names() -> None:
    card = card_text(facts(source="local", base_id="/home/alice/base", dataset="/data/alice/p.jsonl"), False)
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
