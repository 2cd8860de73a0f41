"""Rows as nobody means them: the samples of all layouts with a value somewhere inside replaced."""

import copy
from typing import Any

from hypothesis import strategies as st

from engine.data.formats.catalogue import CATALOGUE, VARIANTS
from engine.data.formats.scores import SCORE_COLUMNS
from engine.data.formats.table import FORMATS

SAMPLES = [dict(entry.sample) for entry in (*CATALOGUE.values(), *VARIANTS)]
COLUMNS = sorted({*FORMATS[0].known, *SCORE_COLUMNS, "label", "kto_tag", "id", "status"})
KEYS = (
    "role",
    "content",
    "from",
    "value",
    "type",
    "text",
    "tool_calls",
    "name",
    "arguments",
    "function",
    "rank",
)
WORDS = (
    *("user", "system", "tool", "function_call", "gpt", "image_url", "", " ", "1", "nan", "tie", "{}", "[1]"),
    *("\n\nHuman: a\n\nAssistant: b", "Human:", '{"name": "f"}', '[{"name": "f", "arguments": "{}"}]'),
)

atoms = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.floats(), st.text(max_size=3), st.sampled_from(WORDS)
)
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container within a value, with each of its keys."""
    inside = list(value.items() if isinstance(value, dict) else enumerate(value))
    places = [(value, key) for key, _ in inside]
    return places + [place for _, one in inside if isinstance(one, dict | list) for place in _places(one)]


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A sample with one or two of its values replaced and up to two columns added, or columns at random."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.dictionaries(st.sampled_from(COLUMNS), values, max_size=5))
    row: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 2))):
        places = _places(row)
        container, key = draw(st.sampled_from(places)) if places else (row, "chosen")
        container[key] = draw(values)
    more = draw(st.dictionaries(st.sampled_from(COLUMNS), values, max_size=2)) if draw(st.booleans()) else {}
    return row | more
