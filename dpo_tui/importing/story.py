"""What is said of an import: what was mapped, what means something else here, what could not be, what was not read."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from dpo_tui.importing.convert import Imported
from dpo_tui.importing.findings import Remark, Taken
from dpo_tui.importing.sentences import line_of, origins, sentence
from dpo_tui.importing.settings import why
from dpo_tui.importing.values import safe
from dpo_tui.text import t
from engine.config.strings import masked
from engine.sanitize import one_line

_MOST = 60
"""Lines of one list; a hostile file could fill a screen a thousand times."""


def story(imported: Imported, written: Any) -> Iterator[str]:
    """All lines; `written` makes a value's text."""
    yield t("import.story", path=one_line(str(imported.path)))
    width = max(len(one.key) for one in imported.taken)
    mapped = [f"{one.key:<{width}} = {written(one.value)}{_from(one)}" for one in imported.taken]
    yield from _listed("mapped", mapped)
    for kind in ("differs", "lost"):
        yield from _listed(kind, (_told(remark) for remark in imported.remarks if remark.kind == kind))
    yield from _listed("skipped", (f"{line_of(one.place)}: {why(one.unread)}" for one in imported.skipped))
    if imported.idle:
        names = ", ".join(safe(name) for name in islice(imported.idle, _MOST))
        yield t("import.idle", names=names)


def _from(one: Taken) -> str:
    where = origins(one)
    return f"    {where}" if where else ""


def _told(remark: Remark) -> str:
    where = f"{line_of(remark.place)}: " if remark.place is not None else ""
    return f"{where}{safe(remark.about)}: {sentence(remark)}"


def _listed(heading: str, lines: Any) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield ""
        yield t(f"import.heading.{heading}")
        yield from (f"  {masked(line)}" for line in lines[:_MOST])
    if len(lines) > _MOST:
        yield f"  {t('import.more', count=len(lines) - _MOST)}"
