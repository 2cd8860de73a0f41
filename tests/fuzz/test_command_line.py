"""Any words after `dpo-tui` and `python -m engine`: an exit code of the contract, and never a traceback."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui import cli
from engine.__main__ import main as engine
from engine.exits import Exit
from tests.fuzz.cases import COUNT, fuzzed
from tests.fuzz.test_configs import SETTING

Words = Callable[[list[str]], int]
LINE = 1300
"""Characters that a line on stderr has at most."""

CONFIG = '[model]\nsource="builtin"\nid="smollm2-135m-instruct"\n[[data.sources]]\nsource="builtin"\
         path="quickstart"\n'
VERBS = ["templates", "ls", "cat", "cp", "validate", "schema", "data", "runs", "attach", "stop", "export"]
OPTIONS = ["--headless", "--run", "--runs", "--set", "--json", "--dry-run", "--resume", "--detach",
         "--version", "--help",
           "--model", "--wait", "--checkpoint", "--to", "--dtype", "--adapter", "--no-adapter", "--push", "--public",
           "--", "-h", "-x", "--run=", "--set=", "--headless="]  # fmt: skip
NAMES = ["good.toml", "bad.toml", "none.toml", "done", "runs/done", "runs/done/config.toml", "folder", "lora",
         "quickstart", "latest", "best", "3", "", ".", "..", "~", "~nobody-of-this-name", "x" * 300,
         "x" * 5000, "\udcff",
         "\x1b[2J", "\u202e", "a\nb", "a/b", "-1", "nan", "😀"]  # fmt: skip
WORD = (
    st.sampled_from(VERBS)
    | st.sampled_from(OPTIONS)
    | st.sampled_from(NAMES)
    | SETTING
    | st.text(max_size=8).filter(lambda word: not word.startswith("/") and ".." not in word)
)
SENTENCE = st.tuples(st.sampled_from([*VERBS, "--headless"]), st.lists(WORD, max_size=6)).map(
    lambda words: [words[0], *words[1]]
)


class Ended:
    """In place of a supervisor: nobody starts one here."""

    pid = -1
    returncode = int(Exit.TRAINING_FAILED)

    def poll(self) -> int:
        return self.returncode


@pytest.fixture(scope="module")
def speak(tmp_path_factory: pytest.TempPathFactory) -> Words:
    """Calls `dpo-tui` in a directory with a few files; nothing is started, and the engine is this process."""
    here = tmp_path_factory.mktemp("here")
    done = here / "runs" / "done"
    (here / "folder").mkdir()
    done.mkdir(parents=True)
    (here / "good.toml").write_text(CONFIG)
    (here / "bad.toml").write_text("[model]\nid = 1\n")
    (done / "config.toml").write_text(CONFIG)
    (done / "status.json").write_text(json.dumps({"state": "done", "exit_code": 0, "heartbeat": 1.0}))

    def call(words: list[str]) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(here)
            patch.setattr("dpo_tui.starting.create", lambda _prepared: None)
            patch.setattr("dpo_tui.dry_run.foreseen_lines", lambda *_: ["memory: some"])
            patch.setattr("dpo_tui.headless.spawn_supervisor", lambda *_, **__: Ended())
            patch.setattr("dpo_tui.engine_verbs.become_engine", lambda *words: exec_engine(list(words)))
            patch.setattr("engine.models.load.load_tokenizer", too_far)
            return ended(lambda: cli.main(words))

    return call


def too_far(*_: object) -> None:
    raise OSError(5, "no model is loaded here", "model")


def exec_engine(words: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.data.command.load_tokenizer", too_far)
        patch.setattr("engine.__main__._drop_output", lambda: None)
        raise SystemExit(int(engine(words)))


def ended(command: Callable[[], None]) -> int:
    """The exit code, with what was said checked."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True) for _ in range(2)
    )
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        command()
    said = err.buffer.getvalue().decode()
    assert "Traceback" not in said
    assert not set(said) & set("\x1b\x07\u202e"), said
    assert max(map(len, said.splitlines()), default=0) < LINE
    return int(caught.value.code or 0)


@fuzzed
@given(words=SENTENCE)
def test_any_words_after_the_command(speak: Words, words: list[str]) -> None:
    COUNT["command line"] += 1
    assert speak(words) in set(Exit)


@fuzzed
@given(verb=st.sampled_from(["data", "export", "run", "rank"]), words=st.lists(WORD, max_size=5))
def test_any_words_after_the_engine(
    tmp_path_factory: pytest.TempPathFactory, verb: str, words: list[str]
) -> None:
    COUNT["engine"] += 1
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        assert ended(lambda: exec_engine([verb, *words])) in set(Exit)
