"""The data report of the helper process as lines: what is kept, why rows are not, how long the parts are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textual.content import Content

from dpo_tui.text import has, t
from dpo_tui.text.explain import advice, explain
from dpo_tui.widgets.histogram import blocks
from engine.sanitize import one_line, visible

PARTS = ("prompt", "chosen", "rejected")
STYLES = {"prompt": "", "chosen": "$metric-chosen", "rejected": "$metric-rejected"}

SHOWN_PLACES = 8
LONGER = 0.05
"""A difference in mean length below this is none."""

Report = Mapping[str, Any]


def counts_text(report: Report, *, places: bool) -> Content:
    """The sources, and what became of their rows; with `places` also which rows are meant."""
    return Content("\n").join([*_sources(report), *_counts(report, places)])


def lengths_text(report: Report) -> Content:
    """How long the parts of the pairs are; empty where no pair is left."""
    return Content("\n").join(_lengths(report))


def warnings_text(report: Report) -> Content:
    """What to know before training on this, and what to do about it."""
    texts = []
    for notice in report.get("warnings", ()):
        code, params = str(notice["code"]), notice.get("params") or {}
        texts.append(Content.styled(f"⚠ {visible(explain(code, notice['text'], params))}", "$warning"))
        if more := advice(code, params):
            texts.append(Content.styled(visible(more), "dim"))
    return Content("\n").join(texts)


def warned_of(report: Report, code: str) -> bool:
    """Whether the report has a warning of this code."""
    return any(notice.get("code") == code for notice in report.get("warnings", ()))


def has_places(report: Report) -> bool:
    """Whether there are rows to name."""
    return any(tally.get("places") for tally in _tallies(report).values())


def _sources(report: Report) -> Iterator[Content]:
    sources = report.get("sources", ())
    for source in sources:
        how = t("data_step.detected") if source["detected"] else t("data_step.as_given")
        name = f"{one_line(str(source['path'])).rpartition('/')[2]}  " if len(sources) > 1 else ""
        yield Content.assemble(name, one_line(str(source["format"])), (f" ({how})", "dim"))
        if excluded := source.get("excluded"):
            yield Content.styled(t("data_step.excluded", counts=_excluded(excluded)), "dim")


def _excluded(values: Sequence[Mapping[str, Any]]) -> str:
    """The values whose rows are left out, each with how many these are."""
    told = [f"{one_line(str(value['column']))} = {one_line(str(value['value']))}" for value in values]
    counts = [f"{what} ({int(value['rows']):,})" for what, value in zip(told, values, strict=True)]
    return t("data_step.comma").join(counts)


def _counts(report: Report, places: bool) -> Iterator[Content]:
    numbers = {name: f"{int(report[name]):,}" for name in ("rows", "kept", "train", "eval")}
    yield Content(t("data_step.counts", **numbers))
    if report.get("partial"):
        yield Content.styled(t("data_step.partial", rows=numbers["rows"]), "dim")
    tallies = _tallies(report)
    width = max((len(f"{tally['count']:,}") for tally in tallies.values()), default=0)
    for key, tally in tallies.items():
        style = "$warning" if key.startswith("report.dropped") else "dim"
        reason = t(key) if has(key) else one_line(key.rpartition(".")[2])
        detail = f" ({one_line(tally['detail'])[:60]})" if tally.get("detail") else ""
        yield Content.assemble((f"{tally['count']:>{width},}", style), f"  {reason}{detail}")
        if places and tally.get("places"):
            yield Content.styled(f"{'':>{width}}  {_places(tally)}", "dim")


def _tallies(report: Report) -> dict[str, Mapping[str, Any]]:
    """What was counted, dropped rows first, the most frequent first; by the key of its text."""
    found: dict[str, Mapping[str, Any]] = {}
    for group in ("dropped", "cut"):
        ordered = sorted(report.get(group, {}).items(), key=lambda item: -item[1]["count"])
        found |= {f"report.{group}.{reason}": tally for reason, tally in ordered}
    if report.get("duplicates", {}).get("count"):
        found["data_step.repeated"] = report["duplicates"]
    return found


def _places(tally: Mapping[str, Any]) -> str:
    """The first rows of a reason, without the folders of their file."""
    shown = [one_line(str(place)).rpartition("/")[2] for place in tally["places"][:SHOWN_PLACES]]
    more = tally["count"] - len(shown)
    return t("data_step.comma").join(shown) + (
        f" {t('data_step.more', count=f'{more:,}')}" if more > 0 else ""
    )


def _lengths(report: Report) -> Iterator[Content]:
    lengths, histograms = report.get("lengths", {}), report.get("histograms", {})
    if not lengths:
        return
    spread = max(len(f"{lengths[part]['p95']:,}") for part in PARTS)
    for part in PARTS:
        p50, p95 = lengths[part]["p50"], lengths[part]["p95"]
        yield Content.assemble(
            (f"{t(f'data_step.{part}'):<9} ", STYLES[part]),
            (blocks(histograms.get(part, ())), STYLES[part]),
            (f"  {t('data_step.p50')} ", "dim"),
            f"{p50:>{spread},}",
            (f"  {t('data_step.p95')} ", "dim"),
            f"{p95:>{spread},}",
        )
    yield Content.styled(_compared(report), "dim")


def _compared(report: Report) -> str:
    """The unit of the lengths, and which side is longer."""
    bias = report.get("length_bias", {})
    chosen, rejected = bias.get("mean_chosen", 0), bias.get("mean_rejected", 0)
    short, side = min(chosen, rejected), "chosen" if chosen > rejected else "rejected"
    longer = max(chosen, rejected) / short - 1 if short else 0.0
    if longer < LONGER:
        return t("data_step.in_tokens")
    percent = f"{100 * longer:.0f} %"
    return f"{t('data_step.in_tokens')} · {t(f'data_step.longer.{side}', percent=percent)}"
