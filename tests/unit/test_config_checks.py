"""What does not go together in a config."""

from typing import Any

import pytest

from engine.config.checks import conflicts, is_repo_id
from engine.config.problems import dotted
from engine.config.schema import Config

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def config(**tables: dict[str, Any]) -> Config:
    data: dict[str, Any] = {"model": {"id": "a/b"}, "data": {"sources": [{"path": "a/b"}]}}
    for name, table in tables.items():
        data[name] = data.get(name, {}) | table
    return Config.model_validate(data)


@pytest.mark.parametrize(
    ("tables", "key", "expected"),
    [
        ({"data": {"max_prompt_length": 1024}}, "data.max_prompt_length", "must be smaller than max_length"),
        ({"train": {"tokens_per_pack": 2047}}, "train.tokens_per_pack", "must be at least 2048"),
        (
            {"objective": {"loss": "ipo", "label_smoothing": 0.1}},
            "objective.label_smoothing",
            "only works with loss = 'sigmoid' or 'robust'",
        ),
        (
            {"objective": {"loss": "robust"}},
            "objective.loss",
            "'robust' with label_smoothing = 0 is 'sigmoid': set label_smoothing to",
        ),
        ({"model": {"trust_remote_code": True}}, "model.trust_remote_code", "needs the commit"),
        (
            {"model": {"trust_remote_code": True, "revision": "main"}},
            "model.trust_remote_code",
            "needs the commit",
        ),
        (
            {"model": {"trust_remote_code": True, "source": "local"}},
            "model.trust_remote_code",
            "only works with source = 'hub'",
        ),
        ({"model": {"source": "local", "revision": "x"}}, "model.revision", "only a hub has revisions"),
        ({"model": {"id": "./model"}}, "model.id", "For a file or folder, set source = 'local'"),
        (
            {"model": {"source": "builtin", "id": "smollm2-135m"}},
            "model.id",
            "Did you mean 'smollm2-135m-instruct'",
        ),
        ({"model": {"lora": {"targets": []}}}, "model.lora.targets", "names no module"),
        ({"export": {"adapter": True}}, "export.adapter", "there is no adapter"),
        (
            {"export": {"adapter": True, "layout": "native"}, "model": {"lora": {}}},
            "export.layout",
            "'native' is the layout of a whole model, and export.adapter = true exports the adapter alone",
        ),
        ({"export": {"push": "just-a-name/../x"}}, "export.push", "expected a repo id"),
        ({"export": {"push": "a/b", "enabled": False}}, "export.push", "nothing is uploaded"),
        (
            {"export": {"checkpoint": "best"}, "data": {"eval_fraction": 0.0}},
            "export.checkpoint",
            "eval loss",
        ),
        (
            {"train": {"eval_every": 5}, "data": {"eval_fraction": 0.0}},
            "train.eval_every",
            "nothing to evaluate",
        ),
        (
            {"data": {"sources": [{"source": "local", "path": "x", "revision": "v1"}]}},
            "data.sources[0].revision",
            "only a hub has revisions",
        ),
        (
            {"data": {"sources": [{"source": "local", "path": "x", "split": "test"}]}},
            "data.sources[0].split",
            "only hub datasets have splits",
        ),
        (
            {"data": {"sources": [{"source": "local", "path": "x", "subset": "harmless"}]}},
            "data.sources[0].subset",
            "only hub datasets have subsets",
        ),
        (
            {"data": {"sources": [{"source": "builtin", "path": "quickstart", "streaming": True}]}},
            "data.sources[0].streaming",
            "only Hugging Face hub datasets can be streamed",
        ),
        (
            {"data": {"sources": [{"source": "modelscope", "path": "a/b", "streaming": True}]}},
            "data.sources[0].streaming",
            "only Hugging Face hub datasets can be streamed",
        ),
        (
            {"data": {"sources": [{"source": "modelscope", "path": "just-a-name"}]}},
            "data.sources[0].path",
            "expected a repo id like 'owner/name'",
        ),
        ({"model": {"source": "modelscope", "id": "../../etc"}}, "model.id", "expected a repo id"),
        (
            {"model": {"source": "modelscope", "trust_remote_code": True, "revision": "0" * 40}},
            "model.trust_remote_code",
            "only works with source = 'hub', and source is 'modelscope'",
        ),
        (
            {"data": {"sources": [{"path": "a/b", "streaming": True, "split": "train[:10%]"}]}},
            "data.sources[0].split",
            "a part of a split cannot be streamed, found 'train[:10%]'; set limit",
        ),
        (
            {"data": {"sources": [{"path": "a/b", "exclude": {"from": ["x"], "source": []}}]}},
            "data.sources[0].exclude.source",
            "names no value, so no row would be left out",
        ),
        (
            {"data": {"sources": [{"path": "a/b"}, {"path": "pairs/x.jsonl/y"}]}},
            "data.sources[1].path",
            "expected a repo id",
        ),
        (
            {"data": {"sources": [{"source": "builtin", "path": "quick"}]}},
            "data.sources[0].path",
            "expected 'quickstart', found 'quick'",
        ),
    ],
)
def test_a_conflict_is_told_at_the_key_to_change(
    tables: dict[str, dict[str, Any]], key: str, expected: str
) -> None:
    [conflict] = conflicts(config(**tables))
    assert dotted(conflict.keys[0]) == key
    assert expected in conflict.text


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"model": {"trust_remote_code": True, "revision": COMMIT}},
        {"data": {"max_length": 2048, "max_prompt_length": 2047}},
        {"objective": {"loss": "sigmoid", "label_smoothing": 0.2}},
        {"objective": {"loss": "robust", "label_smoothing": 0.2}},
        {
            "objective": {"loss": "robust"},
            "launch": {"launcher": "slurm", "slurm": {"array": {"objective.label_smoothing": [0.1, 0.2]}}},
        },
        {"export": {"adapter": True, "checkpoint": "best", "layout": "original"}, "model": {"lora": {}}},
        {"model": {"source": "builtin", "id": "smollm2-135m-instruct"}},
        {"data": {"sources": [{"path": "a/b", "subset": "en", "split": "train+test", "streaming": True}]}},
        {"data": {"sources": [{"path": "a/b", "split": "train[:10%]"}]}},
        {"data": {"sources": [{"source": "local", "path": "x", "weight": 2.0, "min_margin": 1.0}]}},
    ],
)
def test_what_goes_together_passes(tables: dict[str, dict[str, Any]]) -> None:
    assert list(conflicts(config(**tables))) == []


def test_repo_ids_are_those_the_hub_can_have() -> None:
    assert all(map(is_repo_id, ["gpt2", "Qwen/Qwen2.5-0.5B", "a_b/c.d-e", "0/1"]))
    refused = [
        "",
        "a/",
        "/a",
        "a/b/c",
        "~/a",
        "./a",
        "../a",
        "a--b",
        "a/b..c",
        "a/b.",
        "a/b-",
        "a/b.git",
        "a b",
        "é",
    ]
    assert not any(map(is_repo_id, [*refused, "x" * 97, "a/b\n"]))
