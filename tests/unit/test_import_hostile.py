"""Files that are no config, or want to be run: one clear error or an entry of the list, and nothing is ever run."""

from pathlib import Path

import pytest

from dpo_tui.importing.command import import_file
from dpo_tui.importing.convert import import_config
from dpo_tui.importing.syntax import LARGEST_FILE
from dpo_tui.importing.values import Place, Unread
from engine.config.problems import ConfigError
from engine.exits import Exit, UsageError
from tests.unit.importing import LEAST, NAMES, imported, module, remarks, taken, written


def refused(path: Path, *expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        import_config(path)
    assert caught.value.exit is Exit.USAGE
    assert caught.value.text.startswith(str(path))
    for text in expected:
        assert text in caught.value.text


@pytest.mark.parametrize(
    ("content", "code", "expected"),
    [
        (b"x = '\xe9'\n", "import.not_utf8", "config.py:1: not UTF-8"),
        (b"x = 1\ny = (\n", "import.not_python", "config.py:2: not Python"),
        (b"[model]\nid = 'a'\nx y\n", "import.not_python", "config.py:3: not Python"),
        (b"x = '\0'\n", "import.not_python", "not Python"),
        (b"x = " + b"9" * 5000 + b"\n", "import.not_python", "config.py:1: not Python"),
        (b"x = " + b"-" * 100_000 + b"1\n", "import.unparsable", "deeper than a config needs"),
        (b"x = 1" + b"+1" * 100_000 + b"\n", "import.unparsable", "deeper than a config needs"),
        (b"x = " + b"(" * 5000 + b"\n", "import.not_python", "too many nested parentheses"),
        (b"#" * (LARGEST_FILE + 1), "import.too_large", "larger than 256 KiB"),
        (b"", "import.not_xtuner", "no DPO config of XTuner's"),
        (b"lr = 1\n", "import.not_xtuner", "no DPO config of XTuner's"),
        (
            b"from x import SFT\nmodel = dict(type=SFT)\n",
            "import.not_dpo",
            "config.py:2: trains by SFT, not by DPO",
        ),
        (
            b"model = dict(type='DPO')\n",
            "import.needed",
            "config.py:1: model.llm.pretrained_model_name_or_path is",
        ),
        (b"model = dict(type='DPO', llm=3)\n", "import.needed", "config.py:1: model.llm"),
        (b"model = 3\n", "import.needed", "config.py:1: model is needed"),
    ],
)
def test_a_file_that_is_no_config_is_refused(
    tmp_path: Path, content: bytes, code: str, expected: str
) -> None:
    path = tmp_path / "config.py"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=expected) as caught:
        import_config(path)
    assert caught.value.code == code


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.py", "cannot be read: No such file")
    refused(tmp_path, "cannot be read: Is a directory")


def test_a_mark_before_the_text_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_bytes(b"\xef\xbb\xbf" + (NAMES + LEAST).encode())
    assert taken(import_config(path))["model.id"] == "a/b"


def test_a_reward_model_s_pairs_are_not_ours(tmp_path: Path) -> None:
    for line in ("train_dataset.is_reward = True", "train_dataset.is_dpo = False"):
        with pytest.raises(UsageError, match=r"config\.py:4: trains by RewardModel"):
            imported(tmp_path, line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("model.llm.pretrained_model_name_or_path = download('a')", "a call of `download`"),
        ("model.llm.pretrained_model_name_or_path = unknown", "does not say what `unknown` is"),
        ("model.llm.pretrained_model_name_or_path = __import__('os').system('a')", "not worked out"),
        ("train_dataset.dataset = load_dataset('a')", "a call of `somewhere.load_dataset`"),
        (
            "train_dataset.dataset = dict(type=my_map_fn)",
            "only load_dataset and load_jsonl_dataset are known",
        ),
        ("for n in (1, 2):\n    model.llm = n", "may have been changed"),
        ("train_dataset.dataset = dict(type=load_jsonl_dataset, data_files=['a*.jsonl'])", "of another kind"),
    ],
)
def test_what_nothing_can_be_written_without_is_asked_for(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(
        UsageError, match=r"config\.py:4: .* is needed for .*write the name or path"
    ) as caught:
        imported(tmp_path, line)
    assert why in caught.value.text


def test_code_in_a_value_is_a_value_that_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = tmp_path / "proof"
    written(tmp_path, f"open({str(proof)!r}, 'w')\n", "somewhere.py")  # the module that all names come from
    monkeypatch.syspath_prepend(tmp_path)
    call = f"open({str(proof)!r}, 'w')"
    config = imported(
        tmp_path,
        f"model.beta = {call}",
        f"optim_wrapper = dict(optimizer=dict(lr=__import__('os').system('touch {proof}')))",
        f"{call}.close()",
        f"@{call}.close\ndef f(): pass",
        f"class A(metaclass={call}): pass",
    )
    assert not proof.exists()
    assert {"objective.beta", "optimizer.learning_rate"}.isdisjoint(taken(config))
    assert remarks(config, "lost")["unread"].place == Place(5)
    assert len(config.skipped) == 3


def test_values_that_hold_themselves_or_grow_without_end_do_not(tmp_path: Path) -> None:
    lines = ["model.own = model", "model.update(model)", "x = [x]"]
    lines += ["d = dict(a=1)", *["d = dict(a=d, b=d)"] * 200, "model.beta = d"]
    lines += ["s = 'ab'", *["s = s + s"] * 60, "n = 9", *["n = n * n"] * 60, "t = [1]", *["t = t + t"] * 60]
    config = imported(tmp_path, *lines)
    assert taken(config)["model.id"] == "a/b"
    assert "objective.beta" not in taken(config)


def test_what_nests_too_deeply_for_one_statement_leaves_the_others(tmp_path: Path) -> None:
    config = imported(tmp_path, "lr = 1" + "+1" * 2500, "lr2 = torch" + ".a" * 2500, "model.beta = 0.2")
    assert taken(config)["objective.beta"] == 0.2
    assert [one.unread.why for one in config.skipped] == ["deep", "deep"]


def test_a_thousand_branches_take_no_time(tmp_path: Path) -> None:
    config = imported(
        tmp_path, "if 0:\n    x = 1", *["elif 0:\n    x = 1"] * 900, "elif go():\n    x = 2", ""
    )
    assert "deep" in {one.unread.why for one in config.skipped}


def test_thousands_of_changes_among_thousands_of_names_come_to_an_end(tmp_path: Path) -> None:
    text = "".join(f"a{number} = dict()\n" for number in range(6000)) + "a0.x = 1\n" * 6000
    skipped = module(tmp_path, text).skipped
    assert skipped[0].unread == Unread("long")
    assert skipped[-1].unread == Unread("changed", "a0")


def test_twenty_thousand_settings_are_told_in_a_few_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, NAMES + LEAST + "".join(f"k{n}=1\n" for n in range(20_000)))
    import_file(path, Path("-"))
    told = capsys.readouterr().err
    assert len(told.splitlines()) < 120
    assert "... and" in told


def test_every_value_no_config_of_ours_can_have_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        imported(
            tmp_path,
            "model.beta = -1",
            "train_cfg = dict(max_epochs=0)",
            "randomness = dict(seed=2 ** 40)",
            "model.loss_type = 'nonsense'",
        )
    lines = caught.value.text.splitlines()
    assert {line.removeprefix(f"{tmp_path}/").partition(": ")[0] for line in lines} == {
        "config.py:4", "config.py:5", "config.py:6", "config.py:7",
    }  # fmt: skip
    assert any("objective.beta: must be greater than 0, found -1" in line for line in lines)


@pytest.mark.parametrize("text", ["\\x1b[2J", "\\ud800", "a\\nb"])
def test_no_text_of_the_file_steers_the_terminal_or_gets_into_a_config(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="only printable text is allowed"):
        imported(tmp_path, f"model.llm.pretrained_model_name_or_path = '{text}'")


def test_odd_names_of_settings_are_spelled_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "model['a\\nb\\x1b[2J\\ud800'] = 1\nmodel.loss_type = 'sigmoid'\n"
    import_file(written(tmp_path, NAMES + LEAST + line), Path("-"))
    told = capsys.readouterr().err
    assert "model.a\\nb\\x1b[2J\\ud800: nothing corresponds to it" in told


def test_a_token_is_never_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = "hf_" + "a" * 30
    with pytest.raises(ConfigError, match="Never put a token in a file") as caught:
        imported(tmp_path, f"model.llm.revision = '{token}'")
    assert token not in caught.value.text
    with pytest.raises(UsageError, match="trains by hf_\\*\\*\\*") as refused_:
        imported(tmp_path, f"model.type = '{token}'")
    assert token not in refused_.value.text
    text = f"{NAMES}{LEAST}{token} = 0.2\nmodel.beta = {token}\nmodel['{token}'] = 1\nprint({token})\n{token}()\n"
    import_file(written(tmp_path, text), Path("-"))
    assert token not in "".join(capsys.readouterr())
