"""Configs of XTuner's with values and lines that nobody would write: imported, or refused in words a person can use."""

import re
import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.importing.convert import import_config
from dpo_tui.importing.story import story
from dpo_tui.importing.toml_text import toml_text, value_text
from tests.fuzz.cases import case, fuzzed
from tests.unit.importing import FIXTURES

TEXTS = [
    (FIXTURES / f"{name}.py").read_text(encoding="utf-8") for name in ("full", "qlora", "jsonl", "varlen")
]
VALUES = r"""
None  True  -1  0  1e999  2**62  ''  'x'  '\ud800'  '\n'  'a/b'  []  ()  dict()  dict(type=1)  unknown  call()  torch.x
[1, 'a']  [[]]  model  [dict(type='LinearLR')] * 2
"""
LINES = """
lr *= 2  del lr  model.update(x=1)  model.llm = []  model.own = model  param_scheduler[0].end = None  x = (y := 1)
for n in model: pass  optim_wrapper.optimizer = []  train_dataset.dataset.path = 3
"""


def entries(text: str) -> st.SearchStrategy[str]:
    """One of what stands in a text, with two spaces or a line between."""
    return st.sampled_from(re.split(r"  +|\n", text.strip()))


WHERE = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("value"), WHERE, entries(VALUES)),
        st.tuples(st.just("line"), WHERE, entries(LINES)),
        st.tuples(st.just("drop"), WHERE, st.just("")),
    ),
    min_size=1,
    max_size=6,
)


def edited(text: str, how: str, where: float, by: str) -> str:
    """The text with one value replaced, or one line added or dropped, that far into it."""
    if how == "value":
        found = list(re.finditer(r"=\s*([^,()\n=]+)", text))
        if not found:
            return text
        start, end = found[int(where * len(found))].span(1)
        return text[:start] + by + text[end:]
    lines = text.split("\n")
    at = int(where * len(lines))
    lines[at : at + (how == "drop")] = [by] if by else []
    return "\n".join(lines)


@fuzzed
@given(text=st.sampled_from(TEXTS), edits=EDITS)
def test_an_edited_config_is_imported_or_refused(
    text: str, edits: list[tuple[str, float, str]], tmp_path: Path
) -> None:
    for edit in edits:
        text = edited(text, *edit)
    path = tmp_path / "config.py"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "full.py").write_text(TEXTS[0], encoding="utf-8")
    with case("foreign config"):
        config = import_config(path)
        assert tomllib.loads(toml_text(config)) == config.values()
        assert list(story(config, value_text))
