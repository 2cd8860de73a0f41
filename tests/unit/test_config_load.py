"""A config on its way in and out: paths, overrides, the full text, and what makes two runs differ."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import (
    absolute_paths,
    config_digest,
    differences,
    load_config,
    resolved_toml,
)
from engine.config.problems import ConfigError
from engine.config.schema import Config
from engine.config.toml import TomlDocument

MINIMAL: dict[str, Any] = {"model": {"id": "a/b"}, "data": {"sources": [{"path": "a/b"}]}}
LOCAL = """\
# mine
[model]
source = "local"
id = "models/m"  # here

[data]
chat_template = "~/chat.jinja"
[[data.sources]]
source = "local"
path = "pairs.jsonl"
[[data.sources]]
path = "owner/pairs"

[export]
to = "../out"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, which is not the config's; HOME is beside it."""
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return directory


def test_local_paths_count_from_the_current_directory(tmp_path: Path, work: Path) -> None:
    loaded = load_config(written(tmp_path, LOCAL))
    assert loaded.config.model.id == f"{work}/models/m"
    assert loaded.config.data.chat_template == f"{tmp_path}/home/chat.jinja"
    assert [source.path for source in loaded.config.data.sources] == [f"{work}/pairs.jsonl", "owner/pairs"]
    assert loaded.config.export.to == f"{work}/../out"
    assert loaded.document.dumps() == LOCAL


def test_the_full_text_of_a_run_loads_the_same_from_elsewhere(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(written(tmp_path, LOCAL), ["train.epochs=3"]).config
    monkeypatch.chdir("/")
    assert load_config(written(work, resolved_toml(config))).config == config


def test_overrides_stand_in_the_document_with_its_comments(tmp_path: Path) -> None:
    loaded = load_config(written(tmp_path, LOCAL), ["export.to='x'", "optimizer.schedule=linear"])
    assert loaded.config.optimizer.schedule == "linear"
    assert "# here" in loaded.document.dumps()
    assert loaded.document.unwrap()["export"] == {"to": "x"}


def test_the_last_of_two_overrides_wins(tmp_path: Path) -> None:
    loaded = load_config(written(tmp_path, LOCAL), ["run.seed=1", "run.seed=2"])
    assert loaded.config.run.seed == 2


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("1234567", "1234567"),
        ("2026-01-01", "2026-01-01"),
        ("12e4", "12e4"),
        ("'v1'", "v1"),
        ("true", "true"),
    ],
)
def test_text_is_taken_as_text_where_the_schema_wants_text(
    tmp_path: Path, override: str, expected: str
) -> None:
    path = written(tmp_path, '[model]\nid = "a/b"\n[[data.sources]]\npath = "a/b"\n')
    assert load_config(path, [f"model.revision={override}"]).config.model.revision == expected


def test_the_full_text_has_every_key_with_a_value() -> None:
    text = resolved_toml(Config.model_validate(MINIMAL))
    data = TomlDocument.parse(text, Path("full.toml")).unwrap()
    assert data["train"]["tokens_per_pack"] == "auto"
    assert data["optimizer"]["learning_rate"] == 5e-7
    assert "max_steps" not in data["train"]


names = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20).map(
    "/{}".format
)
rates = st.floats(0, 1, exclude_min=True)
configs = st.builds(
    lambda seed, path, rate, epochs, steps, lora, push: Config.model_validate(
        {
            "run": {"seed": seed},
            "model": {"source": "local", "id": path, "lora": lora},
            "data": {"sources": [{"path": "a/b"}, {"source": "local", "path": path, "limit": steps}]},
            "optimizer": {"learning_rate": rate},
            "train": {"epochs": epochs, "max_steps": steps},
            "export": {"push": push},
        }
    ),
    st.integers(0, 2**32 - 1),
    names,
    rates,
    st.integers(1, 1000) | st.floats(0.001, 1000),
    st.none() | st.integers(1, 10**12),
    st.none()
    | st.fixed_dictionaries({"dropout": st.floats(0, 0.99), "targets": st.lists(names, min_size=1)}),
    st.none() | st.just("a/b"),
)


@settings(deadline=None)
@given(configs)
def test_the_full_text_loads_back_to_an_equal_config(config: Config) -> None:
    data = TomlDocument.parse(resolved_toml(config), Path("full.toml")).unwrap()
    again = Config.model_validate(data)
    assert again == config
    assert config_digest(again) == config_digest(config)
    assert differences(again, config) == []


@settings(deadline=None)
@given(configs)
def test_absolute_paths_stay_as_they_are(config: Config) -> None:
    absolute = absolute_paths(config)
    assert absolute_paths(absolute) == absolute


def test_a_current_directory_that_no_config_can_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "two\nlines"
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(ConfigError, match=r"current directory, which model.id .*: contains .* U\+000A"):
        load_config(written(tmp_path, LOCAL))


def test_the_digest_ignores_names_and_places_only() -> None:
    config = Config.model_validate(MINIMAL)
    elsewhere = Config.model_validate(
        MINIMAL | {"run": {"name": "x", "dir": "y"}, "export": {"enabled": False, "to": "/z"}}
    )
    assert len(config_digest(config)) == hashlib.sha256().digest_size * 2
    assert config_digest(elsewhere) == config_digest(config)
    assert differences(config, elsewhere) == []


def test_differences_name_every_key_that_changes_the_result() -> None:
    config = Config.model_validate(MINIMAL)
    other = Config.model_validate(
        {
            "run": {"seed": 1},
            "model": {"id": "a/b", "lora": {"rank": 8}},
            "data": {"sources": [{"path": "a/c"}]},
            "train": {"max_steps": 5, "share_prompt": False},
        }
    )
    assert config_digest(other) != config_digest(config)
    assert differences(config, other) == [
        ("run.seed", "0", "1"),
        ("data.sources[0].path", "'a/b'", "'a/c'"),
        ("train.share_prompt", "true", "false"),
        ("model.lora.rank", "nothing", "8"),
        ("model.lora.alpha", "nothing", "32.0"),
        ("model.lora.dropout", "nothing", "0.0"),
        ("model.lora.targets", "nothing", "'all-linear'"),
        ("train.max_steps", "nothing", "5"),
    ]


def test_a_refused_config_carries_its_problems(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, LOCAL), ["run.seed=-1"])
    [problem] = caught.value.problems
    assert (problem.source, problem.line, problem.text) == (
        "--set run.seed=-1",
        None,
        "must be at least 0, found -1",
    )
    assert caught.value.exit == 2
