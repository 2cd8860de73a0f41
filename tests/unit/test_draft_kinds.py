"""Keys of the schema as fields: what kind each is, and what is shown comes back when typed."""

from typing import Any

import pytest

from dpo_tui.wizard.kinds import Kind, default_of, kind_of, leaf_keys, schema_path, shown, typed
from engine.config.explain import field_at

LOSSES = ("sigmoid", "ipo", "hinge", "robust", "sppo_hard", "nca_pair", "kto_pair")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("objective.loss", Kind("choice", LOSSES)),
        ("export.dtype", Kind("choice", ("bfloat16", "float16", "float32"), optional=True)),
        ("train.share_prompt", Kind("switch")),
        ("train.max_steps", Kind("whole", optional=True)),
        ("train.tokens_per_pack", Kind("whole", ("auto",))),
        ("gates.max_loss", Kind("number", optional=True)),
        ("model.id", Kind("text", required=True)),
        ("model.lora.targets", Kind("list", ("all-linear",))),
        ("data.sources.0.columns", Kind("table", optional=True)),
        ("data.sources.0.exclude", Kind("table", optional=True)),
        ("train.unknown", Kind("text")),
    ],
)
def test_the_kind_of_a_key_comes_from_its_type(key: str, kind: Kind) -> None:
    assert kind_of(key) == kind


def test_every_key_of_the_schema_is_in_a_section() -> None:
    sections = leaf_keys()
    assert "model.lora.rank" in sections["model.lora"]
    assert "data.sources" not in sections["data"]
    assert list(sections)[:2] == ["run", "model"]
    assert all(field_at(tuple(key.split("."))) for keys in sections.values() for key in keys)


@pytest.mark.parametrize("key", [key for keys in leaf_keys().values() for key in keys])
def test_a_default_that_is_shown_and_typed_is_the_same(key: str) -> None:
    assert typed(key, shown(default_of(key))) == default_of(key)


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e-7, "5e-7"), (1e-5, "1e-5"), (0.1, "0.1"), (1.0, "1"), (123456.7, "123456.7"), (True, "true")],
)
def test_numbers_are_shown_as_people_write_them(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("text", "value"), [("auto", "auto"), ("4096", 4096), ("4,096", 4096), ("", None), ("all", "all")]
)
def test_a_number_or_a_word_is_typed_as_either(text: str, value: Any) -> None:
    assert typed("train.tokens_per_pack", text) == value


def test_a_table_is_shown_as_it_is_typed() -> None:
    columns = {"prompt": 'a "b" \\', "is chosen": "x"}
    assert typed("data.sources.0.columns", shown(columns)) == columns


def test_a_table_of_lists_is_shown_as_it_is_typed() -> None:
    exclude = {"source": ["toxic-dpo-v0.2", 'a "b"'], "is bad": [True, 1, 0.5, "1"]}
    assert typed("data.sources.0.exclude", shown(exclude)) == exclude


def test_the_catalogues_key_has_no_places_in_lists() -> None:
    assert schema_path("data.sources.12.path") == "data.sources.path"
