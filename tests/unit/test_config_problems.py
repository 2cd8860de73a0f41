"""What a person reads when a config is wrong: all of it at once, each with its line and a way out."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.config.load import load_config
from engine.config.problems import ConfigError
from engine.config.strings import holds_token

GOOD = """\
[model]
id = "owner/model"

[data]
max_length = 512
max_prompt_length = 256

[[data.sources]]
path = "owner/pairs"
"""


def problems(tmp_path: Path, text: str, overrides: Sequence[str] = ()) -> list[str]:
    """The problems of a config, without the path of its directory."""
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
[model]
idd = "a/b"
trust_remote_code = "yes"

[data]
max_length = 512
max_prompt_length = 600
sources = [
  { path = "a/b", formt = "auto" },
  { path = 5 },
]

[objective]
loss = "sigmod"
beta = -1

[optimizer]
learning_rate = "1e-6"
lr = 1e-6
epochs = 3

[traim]
"""
    assert problems(tmp_path, text) == [
        "c.toml:1: model.id: missing. Repo id, folder, .gguf file, or the name of a built-in model.",
        "c.toml:2: model.idd: unknown key. Did you mean 'id'?",
        "c.toml:3: model.trust_remote_code: expected true or false, found 'yes'",
        "c.toml:7: data.max_prompt_length: must be smaller than max_length, 512, "
        "to leave room for a completion; found 600",
        "c.toml:9: data.sources[0].formt: unknown key. Did you mean 'format'?",
        "c.toml:10: data.sources[1].path: expected text in quotes, found 5",
        "c.toml:14: objective.loss: expected one of 'sigmoid', 'ipo', 'hinge', 'robust', 'sppo_hard', 'nca_pair', "
        "'kto_pair', found 'sigmod'. Did you mean 'sigmoid'?",
        "c.toml:15: objective.beta: must be greater than 0, found -1",
        "c.toml:18: optimizer.learning_rate: expected a number, found '1e-6'. Remove the quotes",
        "c.toml:19: optimizer.lr: unknown key. Did you mean 'learning_rate'?",
        "c.toml:20: optimizer.epochs: unknown key. 'epochs' belongs in [train]",
        "c.toml:22: traim: unknown table. Did you mean 'train'?",
    ]


def test_a_file_without_required_tables_says_which(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == [
        "c.toml: model: missing. Every config needs this table.",
        "c.toml: data: missing. Every config needs this table.",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[lora]", "lora: unknown table. Write it as [model.lora]"),
        ("[optimizer]\nbatch_size = 4", "optimizer.batch_size: unknown key. 'pairs_per_step' belongs in [train]"),
        ("[train]\nxyz = 4", "train.xyz: unknown key; [train] has epochs, max_steps, "),
        ("[optimizer]\npath = 'x'", "optimizer.path: unknown key. 'path' belongs in [[data.sources]]"),
        ("[optimizer]\nsave_evry = 4", "optimizer.save_evry: unknown key. Did you mean 'save_every'? "
                                       "'save_every' belongs in [train]"),
        ("[train]\nepochs = inf", "train.epochs: expected a finite number, found inf"),
        ("[train]\nmax_steps = 1.5", "train.max_steps: expected a whole number, found 1.5"),
        ("[train]\nshare_prompt = 'true'", "train.share_prompt: expected true or false, found 'true'. "
                                           "Write true without quotes"),
        ("[run]\nname = '../x'", "run.name: expected letters, digits, '.', '_' and '-', at most 64"),
        ("[run]\nname = 2026-01-01", "run.name: expected text in quotes, found the date or time 2026-01-01"),
        ("[run]\nseed = 4294967296", "run.seed: must be less than 4,294,967,296, found 4294967296"),
        ("[run]\ndir = ''", "run.dir: must not be empty, found ''"),
        ("[model.lora]\ntargets = 5", "model.lora.targets: expected a list of texts or 'all-linear', found 5"),
        ("[model.lora]\ntargets = ['a', 5]", "model.lora.targets: expected a list of texts or 'all-linear'"),
        ("[train]\n'a b' = 1", "train.'a b': unknown key"),
        ("exclude = { source = 'web' }", "data.sources[0].exclude: expected a table of lists of texts, numbers, true "
                                         "and false, like { source = ['web', 'forum'] }, found 'web'"),
        ("exclude = { source = [2026-01-01] }", "data.sources[0].exclude: expected a table of lists"),
    ],
)  # fmt: skip
def test_a_problem_is_a_plain_sentence(tmp_path: Path, line: str, expected: str) -> None:
    [problem] = problems(tmp_path, GOOD + line)
    assert problem.partition(": ")[2].startswith(expected)


def test_one_bracket_too_few_is_recognised(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, GOOD.replace("[[data.sources]]", "[data.sources]"))
    assert problem == (
        "c.toml:8: data.sources: expected a list of tables, found a table. "
        "Write [[data.sources]], with two brackets"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[model]\nid = a/b\n", "c.toml:2: not TOML: a value was expected; text needs quotes (column 6)"),
        ("[model]\nid = 'a\n", "c.toml:2: not TOML: the text in quotes does not end on its line"),
        ("[model]\nx = 1\nx = 2\n", "c.toml:3: not TOML: this key has a value already"),
        ("[model]\n[model]\n", "c.toml:2: not TOML: this table stands in the file already"),
        ("[model]\nid 'a'\n", "c.toml:2: not TOML: '=' was expected after the key"),
        ("\nx = [1,\n\n", "c.toml:2: not TOML: a value was expected; text needs quotes (end of the file)"),
    ],
)
def test_text_that_is_not_toml_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.startswith(expected)


def test_overrides_are_named_as_they_were_typed(tmp_path: Path) -> None:
    overrides = [
        "optimizer.learning_rate=x",
        "trainer.epochs=1",
        "model.id.x=1",
        "data.sources.3.path=a/b",
        "epochs",
        "data.max_prompt_length=512",
    ]
    assert problems(tmp_path, GOOD + "[train]\nepochs = 0\n", overrides) == [
        "--set model.id.x=1: model.id is a value, not a table",
        "--set data.sources.3.path=a/b: data.sources is a list of 1; its entries count from 0",
        "--set epochs: expected KEY=VALUE, as in --set train.max_steps=100",
        "--set optimizer.learning_rate=x: expected a number, found 'x'",
        "--set trainer.epochs=1: unknown table. Did you mean 'train'?",
        "--set data.max_prompt_length=512: must be smaller than max_length, 512, "
        "to leave room for a completion; found 512",
        "c.toml:11: train.epochs: must be greater than 0, found 0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "[export]\npush = 'hf_{}'\n",
        "# my token: hf_{}\n",
        "idd = 1 # hf_{}\n",
        "[run]\nhf_{} = 1\n",
        '[run]\nname = "\\u0068f_{}"\n',
    ],
)
def test_a_token_is_refused_and_never_repeated(tmp_path: Path, text: str) -> None:
    secret = "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
    lines = problems(tmp_path, GOOD + text.format(secret))
    assert any("Never put a token in a file" in line for line in lines)
    assert secret not in "".join(lines)


def test_a_token_on_the_command_line_is_refused_and_never_repeated(tmp_path: Path) -> None:
    secret = "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
    [problem] = problems(tmp_path, GOOD, [f"export.push=hf_{secret}"])
    assert problem.startswith("--set export.push=hf_***: this looks like a Hugging Face token")


def test_a_token_of_modelscope_is_refused_and_never_repeated(tmp_path: Path) -> None:
    secret = "ms-01234567-89ab-4cde-8f01-23456789abcd"
    lines = problems(tmp_path, f"# {secret}\n{GOOD}", [f"export.push={secret}"])
    assert any("--set export.push=ms-***" in line and "MODELSCOPE_API_TOKEN" in line for line in lines)
    assert secret not in "".join(lines)
    assert not holds_token(
        "ms-01234567-fast is no token, and forms-01234567-89ab-4cde-8f01-23456789abcd is none"
    )


@pytest.mark.parametrize(
    "escape", [r"\u001b]52;c;x", r"\u0000", r"\u009b", r"\u202e", r"\n", r"\u007f", r"\u2028"]
)
def test_control_characters_are_refused_and_never_printed(tmp_path: Path, escape: str) -> None:
    [problem] = problems(tmp_path, f'{GOOD}[run]\ndir = "a{escape}b"\n')
    assert problem.startswith("c.toml:11: run.dir: contains the control character U+")
    assert problem.isprintable()


def test_a_control_character_in_a_key_is_shown_escaped(tmp_path: Path) -> None:
    lines = problems(tmp_path, f'{GOOD}[run]\n"a\\u001bb" = 1\n')
    assert lines == [
        "c.toml:11: run.'a\\x1bb': contains the control character U+001B; only printable text is allowed"
    ]
