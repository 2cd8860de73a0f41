"""What is wrong with a config, in Chinese: whole sentences, with the words of the config left as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpo_tui.text import use
from dpo_tui.text.explain import error_text, explain, fault_text, problem_text
from engine.config.load import load_config
from engine.config.problems import ConfigError, Fault
from engine.config.validate import find_faults

MODEL, SOURCE = {"id": "owner/name"}, {"path": "owner/name"}


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    use("zh")
    yield
    use("en")


def told(**tables: object) -> dict[str, str]:
    """The Chinese for each fault of a config, by its key."""
    config = {"model": MODEL, "data": {"sources": [SOURCE]}, **tables}
    return {".".join(map(str, fault.key)): fault_text(fault) for fault in find_faults(config)}


@pytest.mark.parametrize(
    ("tables", "key", "text"),
    [
        ({"train": {"epochs": 0.0}}, "train.epochs", "必须大于 0，当前为 0.0"),
        ({"run": {"seed": 2**32}}, "run.seed", "必须小于 4,294,967,296，当前为 4294967296"),
        ({"run": {"name": "a/b"}}, "run.name", "当前为 'a/b'"),
        ({"train": {"keep": "2"}}, "train.keep", "应为 整数，当前为 '2'。请去掉引号"),
        ({"train": {"keep": [2]}}, "train.keep", "应为 整数，当前为 一个列表"),
        (
            {"optimizer": {"schedule": "cosin"}},
            "optimizer.schedule",
            "应为 'cosine'、'linear' 或 'constant'，当前为 'cosin'。是不是想写 'cosine'？",
        ),
        ({"optimizer": {"lr": 1.0}}, "optimizer.lr", "未知的键。是不是想写 'learning_rate'？"),
        ({"train": {"beta": 1.0}}, "train.beta", "未知的键。'beta' 属于 [objective]"),
        ({"lora": {"rank": 1}}, "lora", "未知的表。'lora' 请写成 [model.lora] 表"),
        ({"launch": {"x": 1}}, "launch.x", "未知的键；[launch] 中可用的有 launcher、devices"),
        ({"model": {}}, "model.id", "缺少此项。仓库 id、文件夹、.gguf 文件，或内置模型的名称。"),
        ({"model": {"id": "a b"}}, "model.id", "应为 'owner/name' 这样的仓库 id，当前为 'a b'"),
        ({"model": {"id": "a\x1bb"}}, "model.id", "含有控制字符 U+001B"),
        (
            {"objective": {"loss": "robust"}},
            "objective.loss",
            "label_smoothing = 0 时 'robust' 就是 'sigmoid'",
        ),
        ({"train": {"tokens_per_pack": 16}}, "train.tokens_per_pack", "至少应为 2048"),
    ],
)
def test_a_fault_is_told_in_chinese(tables: dict[str, object], key: str, text: str) -> None:
    assert text in told(**tables)[key]


def test_no_fault_of_a_hostile_config_is_told_in_english(tmp_path: Path) -> None:
    values = {"source": "local", "revision": "x", "split": "y", "subset": "z", "streaming": True, "path": "p"}
    values |= {"exclude": {"source": []}}
    tables = {
        "model": {"id": "x", "source": "builtin", "trust_remote_code": True, "lora": {"targets": []}},
        "data": {"sources": [values], "eval_fraction": 0.0, "max_prompt_length": 5000},
        "train": {"eval_every": 1},
        "objective": {"loss": "ipo", "label_smoothing": 0.1},
        "gates": {"max_loss": 1.0},
        "export": {"checkpoint": "best", "push": "a b", "enabled": False},
    }
    found = told(**tables)
    assert len(found) >= 12
    for key, text in found.items():
        assert any("一" <= letter <= "鿿" for letter in text), f"{key}: {text}"


def test_a_fault_without_a_code_keeps_its_text() -> None:
    assert fault_text(Fault(("model",), "expected a table")) == "expected a table"


def test_a_config_error_tells_each_problem_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[model]\nid = "a/b"\n[data]\nsources = 3\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, ["train.keep=0", "nonsense"])
    assert sorted(error_text(caught.value).splitlines()) == [
        "--set nonsense: 应写成 KEY=VALUE，例如 --set train.max_steps=100",
        "--set train.keep=0: 必须不小于 1，当前为 0",
        f"{path}:4: data.sources: 应为 由表组成的列表，当前为 3",
    ]
    assert problem_text(caught.value.problems[-1]) == "应为 由表组成的列表，当前为 3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = \n", "这里应当有一个值"),
        ('x = "a\n', "引号里的文本没有在本行结束"),
        ("x = 1\nx = 2\n", "这个键已经有值了"),
        ("x = [1\n", "（列：文件末尾）"),
        ("x = {a = 1\n", "不是合法的 TOML"),
        ("x y\n", "键后面应当是“=”（列："),
        ("x = " + "9" * 200, "超过 128 个字符"),
        ("x = " + "[" * 40, "嵌套超过 16 层"),
    ],
)
def test_a_file_that_is_not_toml_is_told_of_in_chinese(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert told in error_text(caught.value)


def test_problems_that_came_through_a_file_are_told_as_well() -> None:
    problems = [
        {"where": "a.toml:1", "key": "train.keep", "text": "English", "code": "unknown", "params": {}}
    ]
    assert explain("config.invalid", "all", {"count": 3, "problems": problems}).startswith(
        "a.toml:1: train.keep: "
    )
    assert "还有 2 个问题" in explain("config.invalid", "all", {"count": 3, "problems": problems})


@pytest.mark.parametrize("problems", [None, 3, [3], [{"code": 3, "params": 3}], {}])
def test_problems_of_a_damaged_file_leave_the_english_or_what_there_is(problems: object) -> None:
    assert isinstance(explain("config.invalid", "English", {"count": "x", "problems": problems}), str)
