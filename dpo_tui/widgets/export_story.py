"""What a screen says of an export: its parts, what came of it, and why it failed."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.content import Content

from dpo_tui import clock, quantities
from dpo_tui.export_facts import in_words
from dpo_tui.export_story import Ending, Result, Stage, Story
from dpo_tui.exporting import ExportPlan
from dpo_tui.metrics.numbers import duration
from dpo_tui.text import has, t
from dpo_tui.text.explain import advice, explain
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.run_detail import short_path
from engine.sanitize import one_line

_ALWAYS = ("checkpoint", "policy", "write", "proof")
_BETWEEN = "   "


def stages(story: Story, running: bool, width: int) -> Content:
    """The parts done with what they took, the one that is being done, and those to come; lines break between them."""
    seen = [_stage(stage, running and stage is story.stages[-1], story) for stage in story.stages]
    told = [stage.name for stage in story.stages]
    only_answers = told[:1] == ["answers"]
    to_come = [] if not running or only_answers else [name for name in _ALWAYS if name not in told]
    if "push" in told or "answers" in told:
        to_come = []
    return _flowing([*seen, *(_line("○", _name(name), "", "dim") for name in to_come)], width)


def _flowing(parts: Sequence[Content], width: int) -> Content:
    lines: list[list[Content]] = [[]]
    used = 0
    for part in parts:
        if lines[-1] and used + len(_BETWEEN) + part.cell_length > width:
            lines.append([])
        used = part.cell_length + (used + len(_BETWEEN) if lines[-1] else 0)
        lines[-1].append(part)
    return Content("\n").join(Content(_BETWEEN).join(line) for line in lines)


def _stage(stage: Stage, running: bool, story: Story) -> Content:
    if stage.ended is not None:
        return _line("✓", _name(stage.name), duration(stage.ended - stage.began), "$success")
    if running:
        return _line("●", _name(stage.name), duration(max(0.0, clock.now() - stage.began)), "$accent")
    return _line("■" if story.end and story.end.exit_code == 130 else "✗", _name(stage.name), "", "$error")


def _line(glyph: str, name: str, took: str, style: str) -> Content:
    rest = (f" {took}", "dim") if took else ""
    return Content.assemble((f"{glyph} ", style), (name, "dim" if style == "dim" else ""), rest)


def _name(stage: str) -> str:
    return t(f"export.stage.{stage}") if has(f"export.stage.{stage}") else one_line(stage)


def chosen(plan: ExportPlan | None, result: Result | None) -> Content:
    """What is exported, in a line."""
    if plan is not None:
        step, adapter, dtype, path = plan.step, plan.adapter, plan.dtype, plan.to
    elif result is not None and result.step is not None and result.dtype is not None:
        step, adapter, dtype, path = result.step, result.adapter, result.dtype, result.path
    else:
        return plain_line(short_path(result.path) if result else "")
    return plain_line(f"{in_words(step, adapter, dtype)} → {short_path(path)}")


def outcome(result: Result, story: Story, *, running: bool = False) -> Content:
    """How large the model is, what proves it, where it was uploaded to, and what to know of it."""
    size = "" if result.bytes is None else quantities.size(result.bytes)
    lines = [Content.assemble(("✓ ", "$success"), (t("export.done"), "bold"), f"  {size}")]
    lines += proof_lines(result)
    if story.push is not None:
        lines.append(Content.assemble(("✓ ", "$success"), plain_line(t("export.pushed", repo=story.push))))
    for code, text, params in story.warnings:
        lines.append(plain(f"⚠ {explain(code, text, params)}", "$warning"))
    if story.asked and not running and (problem := _unanswered(story.end)):
        lines.append(plain(f"⚠ {problem}", "$warning"))
    return Content("\n").join(lines)


def _unanswered(end: Ending | None) -> str:
    """Why the answers asked for afterwards did not come to their end; empty where they did."""
    if end is None:
        return t("export.answers.lost")
    if end.exit_code == 130:
        return t("export.answers.cancelled")
    return t("export.answers.none", problem=explain(end.code, end.text, end.params)) if end.exit_code else ""


def proof_lines(result: Result) -> list[Content]:
    """The self-check in plain words."""
    proof = result.proof
    if proof is None or proof.get("bitwise") is not True:
        return [plain(f"○ {t('export.proof.none')}", "dim")]
    counts = {"prompts": _count(proof, "prompts"), "tokens": _count(proof, "tokens")}
    said = [t("export.proof.bitwise", **counts)]
    moved, bound = proof.get("merge_difference"), proof.get("merge_bound")
    if isinstance(moved, int | float) and isinstance(bound, int | float):
        said.append(t("export.proof.merged", moved=f"{moved:.1g}", bound=f"{bound:.1g}"))
    if result.stops_at is not None:
        said.append(t("export.proof.stops", token=result.stops_at))
    return [Content.assemble(("✓ ", "$success"), plain_line(t("export.proof.join").join(said)))]


def failure(end: Ending, log: str, log_path: str) -> Content:
    """Why it ended before its end, what to do about it, and the last lines of its log."""
    if end.exit_code == 130:
        return plain(f"■ {t('export.cancelled')}", "$warning")
    said = explain(end.code, end.text, end.params)
    lines = [plain(f"✗ {t('export.failed')}", "$error bold"), plain(said)]
    if hint := advice(end.code, end.params):
        lines.append(plain(hint))
    return Content("\n").join([*lines, *log_lines(log, log_path)])


def lost(log: str, log_path: str) -> Content:
    """An export whose process is gone without a last word."""
    return Content("\n").join([plain(f"✗ {t('export.lost')}", "$error"), *log_lines(log, log_path)])


def log_lines(log: str, log_path: str) -> Sequence[Content]:
    """The end of a log, and where all of it is."""
    if not log.strip():
        return []
    return [Content(""), plain_line(log_path, "dim"), *(plain(line, "dim") for line in log.splitlines())]


def _count(proof: Mapping[str, Any], name: str) -> int:
    value = proof.get(name)
    return value if isinstance(value, int) else 0
