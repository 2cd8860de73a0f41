"""The templates: each is valid, taught in plain sentences, and `full` leaves no key out."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dpo_tui import templates
from dpo_tui.importing.convert import import_config
from engine.config.jsonschema import json_schema, schema_text
from engine.config.load import load_config
from engine.config.section import Section
from engine.exits import CannotWriteError, UsageError
from engine.shipped import template_dir, template_names
from tests.unit.importing import FIXTURES

NAMES = template_names()
RECIPE = "internlm2-chat-1_8b-sft-orpo-dpo-mix-40k"


def test_the_templates_are_the_three_and_two_recipes() -> None:
    assert template_names() == ["full", RECIPE, f"{RECIPE}-qlora", "lora", "quickstart"]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_a_valid_config(name: str) -> None:
    load_config(template_dir() / f"{name}.toml")


@pytest.mark.parametrize("name", NAMES)
def test_a_template_fits_the_schema_an_editor_reads(name: str) -> None:
    Draft202012Validator(json_schema()).validate(tomllib.loads(templates.text(name).decode()))


def test_full_still_loads_with_every_key_switched_on(tmp_path: Path) -> None:
    text = re.sub(
        r"^# (\[[a-z.]+\]|[a-z_]+ = .*)$", r"\1", templates.text("full").decode(), flags=re.MULTILINE
    )
    path = tmp_path / "full.toml"
    path.write_text(text, encoding="utf-8")
    config = load_config(path, ["launch.launcher=slurm"]).config
    assert absent(config) == []


def test_the_recipe_of_xtuner_says_what_its_config_says() -> None:
    recipe = load_config(template_dir() / f"{RECIPE}.toml").config
    values = import_config(FIXTURES / "full.py").values()
    values["data"].pop("eval_fraction")  # which XTuner's has none of
    for key in ("save_every", "log_every"):  # which XTuner counts in iterations
        values["train"].pop(key)
    assert differences(values, recipe.model_dump()) == []


def test_its_twin_in_four_bits_differs_by_the_adapters_alone() -> None:
    whole, adapters = (tomllib.loads(templates.text(f"{RECIPE}{end}").decode()) for end in ("", "-qlora"))
    assert adapters["model"].pop("lora") == {
        "quantization": "nf4",
        "rank": 64,
        "alpha": 16,
        "dropout": 0.1,
        "targets": "all-linear",
    }
    assert adapters["train"].pop("gradient_checkpointing") is True
    assert differences(adapters, {"export": {"adapter": False}} | whole) == []


def test_the_recipes_load_with_what_they_leave_a_choice(tmp_path: Path) -> None:
    for name in (RECIPE, f"{RECIPE}-qlora"):
        text = re.sub(r"^(source|id|path) = .*\n", "", templates.text(name).decode(), flags=re.MULTILINE)
        text = re.sub(r"^# ((?:source|id|path|exclude) = .*)$", r"\1", text, flags=re.MULTILINE)
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        config = load_config(path).config
        (pairs,) = config.data.sources
        assert pairs.exclude == {"source": ["toxic-dpo-v0.2"]}
        assert (config.model.source, pairs.source) == ("modelscope", "modelscope")
        assert (config.model.id, pairs.path) == (
            "Shanghai_AI_Laboratory/internlm2-chat-1_8b-sft",
            "AI-ModelScope/orpo-dpo-mix-40k",
        )


def differences(some: dict[str, Any], all_: dict[str, Any], above: str = "") -> list[str]:
    """The dotted keys of `some` that `all_` does not hold with the same value."""
    found = []
    for key, value in some.items():
        if isinstance(value, dict):
            found += differences(value, all_[key], f"{above}{key}.")
        elif isinstance(value, list):
            pairs = zip(value, all_[key], strict=True)
            found += [name for one, other in pairs for name in differences(one, other, f"{above}{key}.")]
        elif value != all_[key]:
            found.append(f"{above}{key}")
    return found


def absent(section: Section) -> list[str]:
    """The keys of a section, and of those in it, that the file does not state."""
    missing = [name for name in type(section).model_fields if name not in section.model_fields_set]
    for name in type(section).model_fields:
        value: Any = getattr(section, name)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Section):
                missing += [f"{name}.{key}" for key in absent(inner)]
    return missing


def test_the_schema_beside_the_templates_is_the_code_s() -> None:
    path = template_dir() / "dpo-tui.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(), (
        "run: dpo-tui schema > templates/dpo-tui.schema.json"
    )


def test_the_schema_is_draft_2020_12_and_describes_every_key() -> None:
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    undescribed = [
        f"{table}.{key}"
        for table, definition in schema["$defs"].items()
        for key, field in definition["properties"].items()
        if not field.get("description") and "$ref" not in field
    ]
    assert undescribed == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"train": {"epoch": 1}},
        {"train": {"epochs": 0}},
        {"train": {"max_steps": None}},
        {"objective": {"loss": "x"}},
        {"data": {"sources": []}},
    ],
)
def test_the_schema_refuses_what_the_program_refuses(wrong: dict[str, Any]) -> None:
    config = {"model": {"id": "a/b"}, "data": {"sources": [{"path": "a/b"}]}}
    validator = Draft202012Validator(json_schema())
    assert validator.is_valid(config)
    assert not validator.is_valid(config | wrong)


def test_a_purpose_is_the_first_comment_line() -> None:
    purposes = templates.purposes()
    assert list(purposes) == NAMES
    assert purposes["quickstart"].startswith("A first run in minutes")


def test_copy_writes_the_bytes_and_returns_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert templates.copy("lora", None) == Path("lora.toml")
    assert templates.copy("lora", tmp_path / "x.toml") == tmp_path / "x.toml"
    assert templates.copy("full", tmp_path) == tmp_path / "full.toml"
    assert (tmp_path / "x.toml").read_bytes() == templates.text("lora")


def test_copy_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "lora.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        templates.copy("lora", tmp_path)
    assert (tmp_path / "lora.toml").read_text(encoding="utf-8") == "mine"


def test_copy_says_what_the_file_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="directory does not exist"):
        templates.copy("lora", tmp_path / "none" / "x.toml")
    with pytest.raises(CannotWriteError, match="cannot be written"):
        templates.copy("lora", tmp_path / ("x" * 300))


def test_an_unknown_template_suggests_a_known_one() -> None:
    with pytest.raises(UsageError, match="Did you mean 'quickstart'"):
        templates.text("quikstart")
    with pytest.raises(UsageError, match=f"There are: full, {RECIPE}, {RECIPE}-qlora, lora, quickstart"):
        templates.text("../engine/exits")
