"""The engine's commands in Chinese: what it tells is said in it, all else is as it is in English."""

import json
import signal
import sys
from collections.abc import Iterator

import pytest

from dpo_tui import engine_in_words
from dpo_tui.engine_in_words import carry_out
from dpo_tui.text import use
from engine import telling
from engine.exits import Exit
from engine.process import ProcessId
from engine.telling import tell

NO_ADAPTER = {"told": "error", "code": "export.no_adapter", "text": "English", "params": {"run": "r"}}
REPORT = {
    "rows": 9,
    "kept": 7,
    "train": 6,
    "eval": 1,
    "sources": [{"path": "/d/a.jsonl", "format": "trl", "detected": True}],
    "dropped": {"equal": {"count": 2, "places": ["/d/a.jsonl:3", "/d/a.jsonl:4"], "detail": ""}},
    "lengths": {part: {"p50": 3, "p95": 5} for part in ("prompt", "chosen", "rejected")},
    "warnings": [{"code": "data.no_eval", "text": "English", "params": {"pairs": 7}}],
    "example": {"prompt": "sky?", "chosen": " blue\x1b", "rejected": " red"},
}


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    use("zh")
    yield
    use("en")


def engine(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """The engine is this program."""
    monkeypatch.setattr(engine_in_words, "ENGINE", (sys.executable, "-S", "-c", program))


def telling_program(*told: object, code: int, stdout: str = "") -> str:
    lines = [line if isinstance(line, str) else json.dumps(line) for line in told]
    return (
        f"import sys; print(sys.argv[1:], file=sys.stderr); print(*{lines!r}, sep='\\n', file=sys.stderr)\n"
        f"sys.stdout.write({stdout!r}); sys.exit({code})"
    )


def own() -> str:
    """What the engine is told of the process that it dies with."""
    this = ProcessId.own()
    return f"{this.pid}:{this.start_time}"


def test_notes_and_the_last_word_of_an_export_are_said_in_chinese(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    proof = {"told": "proof", "text": "E", "params": {"bitwise": True, "prompts": 3, "tokens": 412}}
    note = {"told": "note", "code": "export.local_base", "text": "E", "params": {"base": "b"}}
    reused = {"told": "reused", "code": "", "text": "E", "params": {"proved": True}}
    told = (NO_ADAPTER, proof, note, reused, "a library's word", '{"told": broken')
    engine(monkeypatch, telling_program(*told, code=2, stdout="/the/folder\n"))
    assert carry_out(["export", "--", "r"]) == Exit.USAGE
    printed = capfd.readouterr()
    assert printed.out == "/the/folder\n"
    argv, first, second, third, raw, broken, last = printed.err.splitlines()
    assert argv == f"['--told', '{own()}', 'export', '--', 'r']"
    assert "412" in first
    assert "3" in first
    assert second.startswith("警告：适配器需要它的基础模型（b）")
    assert third == "文件早已写好并通过验证：只做了上传"
    assert (raw, broken) == ("a library's word", '{"told": broken')
    assert last.startswith("r 训练的是全部权重：没有适配器可以导出")


def test_a_data_report_is_told_in_chinese_before_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(monkeypatch, telling_program(NO_ADAPTER, code=3, stdout=json.dumps(REPORT)))
    assert carry_out(["data", "--", "--json"]) == Exit.UNUSABLE
    said = capsys.readouterr()
    assert "9 行 · 7 个偏好对：训练 6，评估 1" in said.out
    assert "2  chosen 与 rejected 相同" in said.out
    assert "a.jsonl:3、a.jsonl:4" in said.out
    assert "没有留出偏好对用于评估" in said.out
    assert "  chosen ▸  blue\\x1b" in said.out
    assert f"['--told', '{own()}', 'data', '--json', '--', '--json']" in said.err
    assert said.err.splitlines()[-1].startswith("r 训练的是")


def test_json_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    engine(monkeypatch, telling_program(code=0, stdout='{"rows": 1}\n'))
    assert carry_out(["data", "--json", "--", "x"]) == Exit.DONE
    assert capfd.readouterr().out == '{"rows": 1}\n'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_engine_and_is_its_end(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    program = f"import os, signal; os.kill(os.getppid(), {int(number)}); signal.pause()"
    engine(monkeypatch, program)
    before = signal.getsignal(number)
    assert carry_out(["export", "--", "r"]) == 128 + number
    assert signal.getsignal(number) is before


def test_what_is_told_is_a_line_for_a_person_or_for_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tell("note", "no\x1b", "a.b", {"path": 1})
    monkeypatch.setattr(telling, "_in_lines", True)
    tell("note", "no\x1b", "a.b", {"path": 1})
    person, program = capsys.readouterr().err.splitlines()
    assert person == "note: no\\x1b"
    assert json.loads(program) == {"told": "note", "code": "a.b", "text": "no\x1b", "params": {"path": 1}}
