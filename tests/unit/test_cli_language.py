"""The language of the commands: who decides it, and what is said in it. Programs always get the same."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from dpo_tui.cli import main
from dpo_tui.ending import Ending, announce
from dpo_tui.runs import show
from dpo_tui.sentences import lasting_line
from dpo_tui.text import language, use
from engine.exits import Exit
from engine.rundir.files import write_json
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, State, Status, write_status
from tests.fake_engine import CONFIG

GATES = {
    "type": "gates",
    "step": 3,
    "gates": [{"gate": "max_loss", "limit": 0.5, "value": 0.7, "passed": False}],
}


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    use("en")


def run_main(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def config(folder: Path, text: str = CONFIG) -> str:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def ended_run(runs: Path, name: str, state: State, reason: Reason | None = None) -> RunDir:
    run = RunDir(runs / name)
    run.root.mkdir(parents=True)
    run.config.write_text(CONFIG)
    write_status(run.status_json, Status(state=state, exit_code=0, reason=reason, heartbeat=time.time()))
    return run


@pytest.mark.parametrize(
    ("words", "environment", "settings", "spoken"),
    [
        (["--lang", "zh"], {}, "", "zh"),
        (["--lang", "en"], {"DPO_TUI_LANG": "zh"}, 'language = "zh"', "en"),
        ([], {"DPO_TUI_LANG": "zh"}, 'language = "en"', "zh"),
        ([], {}, 'language = "zh"', "zh"),
        ([], {"LC_ALL": "zh_CN.UTF-8"}, "", "zh"),
        ([], {"LC_ALL": "de_DE.UTF-8"}, "", "en"),
    ],
)
def test_the_language_is_that_of_option_environment_settings_or_locale(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: Sequence[str],
    environment: dict[str, str],
    settings: str,
    spoken: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "settings.toml"
    path.write_text(settings)
    monkeypatch.setenv("DPO_TUI_SETTINGS", str(path))
    assert run_main(*words, "validate", config(tmp_path)) == Exit.DONE
    assert language() == spoken


def test_settings_that_are_wrong_are_told_of_and_stop_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("language = 3")
    monkeypatch.setenv("DPO_TUI_SETTINGS", str(path))
    assert run_main("--lang", "zh", "validate", config(tmp_path)) == Exit.DONE
    said = capsys.readouterr().err
    assert f"注意：设置文件 {path} 有误" in said
    assert "没有发现问题" in said


def test_a_language_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("--lang", "fr", "validate", config(tmp_path)) == Exit.USAGE
    assert "'fr'" in capsys.readouterr().err


def test_the_problems_of_a_config_are_told_in_chinese(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, CONFIG + "\n[nonsense]\n")
    assert run_main("--lang", "zh", "validate", path) == Exit.USAGE
    assert "nonsense: 未知的表" in capsys.readouterr().err


def test_the_table_of_runs_is_chinese_and_aligned_and_json_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = {"rank": 0, "signal": 9, "name": "SIGKILL", "case": "killed"}
    ended_run(tmp_path, "a", "failed", Reason("rank.killed", "rank 0 was killed", killed))
    ended_run(tmp_path, "b", "done")
    use("zh")
    show(tmp_path, json=False)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["名称", "状态", "步数", "最近消息", "原因"]
    failed = next(row for row in rows if "失败" in row)
    assert cell_len(failed[: failed.index("rank 0 被信号 9")]) == cell_len(head[: head.index("原因")])
    show(tmp_path, json=True)
    listed = json.loads(capsys.readouterr().out)
    assert {(run["state"], (run["reason"] or {}).get("text")) for run in listed} == {
        ("failed", "rank 0 was killed"),
        ("done", None),
    }


def test_an_end_is_announced_in_chinese_with_its_facts_below_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ended_run(tmp_path, "a", "stopped")
    write_json(run.summary_json, {"train": {"step": 10, "loss": 0.4}})
    use("zh")
    announce(run, Ending(Exit.STOPPED, "stopped", "已按要求停止"))
    first, *facts = capsys.readouterr().err.splitlines()
    assert first == "a：已按要求停止"
    assert facts[0] == "  训练：   第 10 步  loss 0.4"
    assert facts[1] == f"  目录：   {run.root}"
    assert facts[2].startswith("  继续：   dpo-tui --headless ")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"type": "save", "step": 3, "path": "/r", "verified": False}, "已保存  第 3 步  /r  未通过校验"),
        (
            {"type": "warning", "code": "data.no_eval", "text": "x", "params": {}},
            "警告：没有留出偏好对用于评估",
        ),
        ({"type": "warning", "text": "only English {step}"}, "警告：only English {step}"),
        ({"type": "warning", "code": 3, "text": None, "params": []}, "警告：None"),
        (GATES, "门槛  第 3 步  max_loss 0.5：0.7，未达到"),
        ({"type": "resume", "attempt": 2, "from_step": 3}, "从第 3 步继续（第 2 次）"),
    ],
)
def test_the_stream_of_a_run_speaks_chinese(event: dict[str, object], line: str) -> None:
    use("zh")
    assert (lasting_line(event) or "").startswith(line)
