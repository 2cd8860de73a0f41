"""Where ModelScope's files are, which server is asked, and when nobody is; what the wizard makes of it."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from dpo_tui.wizard.origins import KNOWN_SCOPE, TWINS, first_choice, twin
from dpo_tui.wizard.preflight import Check, Facts, checks, gather
from dpo_tui.wizard.resolved import resolved
from dpo_tui.wizard.review import check_text
from engine import modelscope_home
from engine.config.schema import Config
from tests.unit.test_preflight import CPU

MODEL, PAIRS = "owner/tiny.v1", "owner/pairs"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN", "MODELSCOPE_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.parametrize(
    ("variable", "value", "server"),
    [
        ("MODELSCOPE_ENDPOINT", "https://mirror.example/", "https://mirror.example"),
        ("MODELSCOPE_ENDPOINT", "modelscope.ai", "https://modelscope.ai"),
        ("MODELSCOPE_DOMAIN", "www.modelscope.cn", "https://www.modelscope.cn"),
        ("MODELSCOPE_ENDPOINT", " ", "https://modelscope.cn"),
    ],
)
def test_the_server_is_the_one_modelscope_s_own_tools_are_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, server: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert modelscope_home.server() == server


def test_the_cache_is_that_of_modelscope_s_own_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MODELSCOPE_CACHE")
    assert modelscope_home.cache_dir() == tmp_path / ".cache" / "modelscope"
    monkeypatch.setenv("MODELSCOPE_CACHE", "~/elsewhere")
    assert modelscope_home.cache_dir() == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("own", "hub", "by"),
    [
        (None, False, None),
        (None, True, "HF_HUB_OFFLINE"),
        ("1", False, "MODELSCOPE_OFFLINE"),
        ("yes", True, "MODELSCOPE_OFFLINE"),
        ("0", True, None),
        ("", True, "HF_HUB_OFFLINE"),
    ],
)
def test_either_setting_switches_it_off_and_its_own_one_wins(
    monkeypatch: pytest.MonkeyPatch, own: str | None, hub: bool, by: str | None
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", hub)
    if own is not None:
        monkeypatch.setenv("MODELSCOPE_OFFLINE", own)
    assert modelscope_home.offline_by() == by


def put(kind: modelscope_home.Kind, repo: str) -> None:
    checked = modelscope_home.repo_dir(kind, repo) / "checked"
    checked.mkdir(parents=True)
    (checked / f"{'0' * 40}.json").write_text("{}")


def test_what_is_in_the_cache_is_offered_first() -> None:
    assert first_choice("model", "modelscope", ()) == KNOWN_SCOPE["model"]
    put("model", MODEL)
    put("dataset", PAIRS)
    modelscope_home.repo_dir("model", "half/there").mkdir(parents=True)
    assert modelscope_home.cached("model") == [MODEL]
    assert first_choice("model", "modelscope", ()) == MODEL
    assert first_choice("data", "modelscope", ()) == PAIRS
    assert (
        first_choice("data", "modelscope", [["modelscope", "used/before"], ["hub", "x/y"]]) == "used/before"
    )


def config() -> Config:
    source = {"source": "modelscope", "path": PAIRS, "split": "test"}
    return Config.model_validate(
        {"model": {"source": "modelscope", "id": MODEL}, "data": {"sources": [source]}}
    )


def told(facts: Facts) -> dict[str, Check]:
    about = {check.at: check for check in checks(config(), facts)}
    return {at: about[at] for at in ("model.id", "data.sources.0.path") if at in about}


def test_the_checks_before_a_run_name_the_package_and_the_switch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = tmp_path / "runs" / "x"
    put("model", MODEL)
    assert not told(gather(config(), root, CPU, None))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = told(gather(config(), root, CPU, None))
    assert [check.verdict for check in offline.values()] == ["ok", "warn"]
    assert "switched off (HF_HUB_OFFLINE)" in check_text(offline["data.sources.0.path"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    bare = told(gather(config(), root, CPU, None))
    assert [check.verdict for check in bare.values()] == ["warn", "bad"]
    assert 'pip install "dpo-tui[modelscope]"' in check_text(bare["data.sources.0.path"])


def test_the_review_says_where_model_and_data_are_from(tmp_path: Path) -> None:
    lines = dict(resolved(config(), tmp_path))
    assert any(f"{MODEL}  ·  ModelScope" in text for text in lines.values())
    assert any(f"{PAIRS}  ·  ModelScope  ·  test" in text for text in lines.values())


def test_what_the_templates_name_has_its_twin_on_the_other_hub() -> None:
    for path in Path("templates").glob("internlm2*.toml"):
        text = path.read_text(encoding="utf-8")
        for here, there in TWINS.items():
            assert f'"{here}"' in text
            assert f'"{there}"' in text
            assert (twin(here, "modelscope"), twin(there, "hub")) == (there, here)
            assert twin(here, "local") is None
    assert twin("owner/other", "modelscope") is None
