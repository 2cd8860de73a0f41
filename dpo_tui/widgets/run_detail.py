"""What the list of runs says of the run under the cursor: where it is, and why it ended as it did."""

from pathlib import Path

from textual.content import Content

from dpo_tui.run_list import RunRow
from dpo_tui.text import t
from dpo_tui.text.explain import advice, explain
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.run_line import where

_MOST_LINES = 3
"""Lines shown of a reason: a log's end may be a part of it."""


def detail(row: RunRow) -> Content:
    """Its directory and machine; then the reason for its end in full, and what to do about it."""
    lines = [plain_line(f"{short_path(row.root)} · {where(row)}", "dim")]
    if row.problem is not None:
        lines.append(plain(t(f"home.problem.{row.problem}"), "$error"))
    elif row.reason is not None and row.state in ("failed", "stopped"):
        said = explain(row.reason.code, row.reason.text, row.reason.params).strip().splitlines()
        lines += [plain(text, "$error" if row.state == "failed" else "") for text in said[:_MOST_LINES]]
        if hint := advice(row.reason.code, row.reason.params):
            lines.append(plain(hint))
    return Content("\n").join(lines)


def short_path(path: Path) -> str:
    """The path from the working directory or from home, if it is below either."""
    for base, sign in ((Path.cwd(), "."), (Path.home(), "~")):
        if path == base:
            return sign
        if path.is_relative_to(base):
            return f"{sign}/{path.relative_to(base)}"
    return str(path)
