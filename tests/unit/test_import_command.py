"""`dpo-tui import`: the file it writes, what goes to stdout, and what it says."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpo_tui.importing.command import import_file
from dpo_tui.text import use
from engine.config.load import load_config
from engine.exits import CannotWriteError, Exit, UsageError
from tests.unit.importing import FIXTURES, LEAST, NAMES, written

FULL = FIXTURES / "full.py"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def chinese() -> Iterator[None]:
    use("zh")
    yield
    use("en")


def test_the_config_is_written_under_the_file_s_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_file(FULL, None)
    assert capsys.readouterr().out == "full.toml\n"
    config = load_config(here / "full.toml").config
    assert config.model.id == "internlm/internlm2-chat-1_8b-sft"
    assert config.optimizer.learning_rate == 5e-7


def test_it_can_go_to_another_file_a_folder_or_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "configs").mkdir()
    import_file(FULL, Path("other.toml"))
    import_file(FULL, Path("configs"))
    assert capsys.readouterr().out == "other.toml\nconfigs/full.toml\n"
    import_file(FULL, Path("-"))
    assert capsys.readouterr().out == (here / "other.toml").read_text(encoding="utf-8")
    assert not (here / "-").exists()


def test_nothing_is_overwritten(here: Path) -> None:
    (here / "full.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"exists and is not overwritten. Give another name: dpo-tui import .* --to FILE"
    ):
        import_file(FULL, None)
    assert (here / "full.toml").read_text(encoding="utf-8") == "mine"
    with pytest.raises(UsageError, match="directory does not exist"):
        import_file(FULL, Path("none/x.toml"))
    with pytest.raises(CannotWriteError, match="cannot be written"):
        import_file(FULL, Path("x" * 300))


def test_a_comment_beside_a_value_says_where_it_was_written(here: Path) -> None:
    import_file(FULL, None)
    lines = (here / "full.toml").read_text(encoding="utf-8").splitlines()
    rate = next(line for line in lines if line.startswith("learning_rate"))
    number = FULL.read_text(encoding="utf-8").splitlines().index("lr = 5e-7") + 1
    assert rate.split() == ["learning_rate", "=", "5e-7", "#", "lr,", "line", str(number)]
    pairs = lines.index(next(line for line in lines if line.startswith("pairs_per_step")))
    assert "over all devices" in "".join(lines[pairs - 2 : pairs])
    assert max(map(len, lines)) <= 150


@pytest.mark.usefixtures("chinese")
def test_it_speaks_chinese(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_file(FULL, Path("-"))
    out, err = capsys.readouterr()
    assert tomllib.loads(out)["train"]["pairs_per_step"] == 16
    assert "是所有设备的总数" in out
    assert "在这里含义不同" in err
    assert "未能转换" in err


def test_the_story_has_all_its_parts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = NAMES + LEAST + "model.beta = 0.2\nvisualizer = dict(a=1)\nprint(1)\nlog_level = 'INFO'\n"
    import_file(written(here, text), None)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"{here}/config.py: a DPO config of XTuner's, read without running it"
    at = [told.index(part) for part in ("mapped", "means something else here", "not mapped", "not read")]
    assert at == sorted(at)
    assert any(
        line.startswith("  objective.beta") and line.endswith("= 0.2    model.beta, line 4") for line in told
    )
    assert "  line 6: a call of `print`, and nothing is called" in told
    assert told[-1] == "not needed here: log_level"


def dpo_tui(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "dpo_tui", *arguments],
        cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_stdout_is_data_and_stderr_is_talk(tmp_path: Path) -> None:
    result = dpo_tui("import", str(FULL), "--to", "-", cwd=tmp_path)
    assert result.returncode == 0
    assert tomllib.loads(result.stdout)["objective"] == {"loss": "sigmoid", "beta": 0.1}
    assert "means something else here" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_config_is_a_usage_error(tmp_path: Path) -> None:
    written(tmp_path, "import os\nos.abort()\n", "bad.py")
    result = dpo_tui("import", "bad.py", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (Exit.USAGE, "")
    assert "bad.py:2: model is needed" in result.stderr
    assert "Traceback" not in result.stderr
