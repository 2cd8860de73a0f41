"""What a model is, as a few aligned lines."""

from collections.abc import Iterator, Mapping
from typing import Any

from textual.content import Content

from dpo_tui import quantities
from dpo_tui.text import t
from dpo_tui.widgets.columns import cell
from engine.sanitize import one_line
from engine.shape import ModelShape

LABEL = 20
"""Cells of a label: as wide as those of the fields above."""


def facts_text(facts: Mapping[str, Any]) -> Content:
    """The answer of the helper process; what it does not know is left out."""
    lines = [
        Content.assemble(cell(Content.styled(t(f"model_step.{name}"), "dim"), LABEL), value)
        for name, value in _lines(facts)
    ]
    return Content("\n").join(lines)


def parameters_of(facts: Mapping[str, Any] | None) -> int | None:
    """How many parameters, where that is known."""
    value = facts.get("parameters") if facts else None
    return value if isinstance(value, int) else None


def shape_of(facts: Mapping[str, Any] | None) -> ModelShape | None:
    """The sizes memory is counted by, where they are known."""
    sizes = facts.get("shape") if facts else None
    return ModelShape(**sizes) if isinstance(sizes, dict) else None


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, Content]]:
    parameters = parameters_of(facts)
    kind = one_line(str(facts.get("architecture") or ""))
    if parameters is not None:
        yield "parameters", Content.assemble(quantities.count(parameters), ("  " + kind, "dim"))
    stored = [one_line(str(facts["dtype"]))] if facts.get("dtype") else []
    stored += [quantities.size(facts["bytes"])] if isinstance(facts.get("bytes"), int) else []
    if stored:
        yield "stored", Content("  ".join(stored))
    if facts.get("layers") and facts.get("hidden"):
        yield "shape", Content(f"{facts['layers']} × {facts['hidden']:,}")
    if facts.get("context"):
        yield (
            "context",
            Content.assemble(f"{facts['context']:,}", (f" {t('model_step.tokens')}", "dim")),
        )
    yield "template", _template(bool(facts.get("chat_template")))
    if facts.get("license"):
        yield "license", Content(one_line(str(facts["license"])))
    yield "files", _files(facts)


def _template(there: bool) -> Content:
    if there:
        return Content.styled(f"✓ {t('model_step.template.yes')}", "$success")
    return Content.styled(f"⚠ {t('model_step.template.no')}", "$warning")


def _files(facts: Mapping[str, Any]) -> Content:
    if facts.get("cached"):
        return Content.styled(f"✓ {t('model_step.files.here')}", "$success")
    bytes_ = facts.get("bytes")
    size = quantities.size(bytes_) if isinstance(bytes_, int) else ""
    return Content(f"↓ {t('model_step.files.download', size=size)}".rstrip())
