"""The data report as a person reads it: plain text, aligned, at most 40 lines."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from engine.data.report.tallies import (
    CUT,
    DROPPED,
    PERCENTILES,
    Excluded,
    Notice,
    SourceReport,
    Tally,
)
from engine.sanitize import one_line

if TYPE_CHECKING:
    from engine.data.report.report import Report

WIDTH = 110
LINES = 40
SHOWN_SOURCES = 4
SHOWN_REASONS = 6
SHOWN_PLACES = 5
SHOWN_VALUES = 5
PLACE = re.compile(r"(.*)(:| row )(\d+)")
MANY = 0.10
"""Share of the pairs above which cutting, dropping or repeating deserves a warning."""


def render(report: "Report") -> str:
    """See `Report.render`."""
    blocks = [_sources(report), _counts(report), _lengths(report)]
    lines = [line for block in blocks for line in (*block, "") if block]
    lines += [*_warnings(report, LINES - len(lines)), ""]
    return "\n".join(line[:WIDTH].rstrip() for line in lines).rstrip()


def _sources(report: "Report") -> list[str]:
    paths = [_shortened(one_line(source.path), 44) for source in report.sources[:SHOWN_SOURCES]]
    width = max((len(path) for path in paths), default=0)
    lines = []
    for path, source in zip(paths, report.sources, strict=False):
        how = "detected" if source.detected else "as given"
        files = f"  {source.files} files" if source.files > 1 else ""
        joined = "" if source.joined is None else f" joined to {source.joined:,}"
        lines.append(
            f"{path:<{width}}  {source.format} ({how}){files}  {source.rows:,} rows{joined}  {source.kept:,} pairs"
        )
    hidden = len(report.sources) - len(lines)
    return [*lines, f"and {hidden} more sources"] if hidden else lines


def _counts(report: "Report") -> list[str]:
    width = len(f"{report.rows:,}")
    split = f"{report.train:,} to train on, {report.eval:,} to evaluate" if report.eval else "all to train on"
    lines = [f"{report.rows:>{width},}  rows read", f"{report.kept:>{width},}  pairs kept: {split}"]
    alone = len(report.sources) == 1 and report.sources[0].files <= 1
    if report.dropped:
        lines.append(f"{report.dropped_count:>{width},}  rows dropped")
        lines.extend(_tallies(report.dropped, DROPPED, alone))
    lines.extend(_left_out(report))
    if report.cut:
        lines.append(
            f"limits: {report.max_prompt_length:,} tokens a prompt, {report.max_length:,} with a completion"
        )
        lines.extend(_tallies(report.cut, CUT, alone))
    if report.duplicates.count:
        lines.append(
            f"repeated: {report.duplicates.count:,} pairs, kept ({_places(report.duplicates, alone)})"
        )
    return lines


def _left_out(report: "Report") -> list[str]:
    """A line with every value of `exclude`, and the rows that have it in all sources together."""
    counts = Counter[str]()
    for value in (value for source in report.sources for value in source.excluded):
        counts[one_line(str(value))] += value.rows
    told = ", ".join(f"{rows:,} with {value}" for value, rows in counts.items())
    return [f"left out: {told}"] if told else []


def _tallies(tallies: Mapping[str, Tally], names: Mapping[str, str], alone: bool) -> list[str]:
    """A line for each reason, the most frequent first."""
    ordered = sorted(tallies.items(), key=lambda item: -item[1].count)
    what = [
        names.get(name, name) + (f" ({_shortened(one_line(tally.detail), 50)})" if tally.detail else "")
        for name, tally in ordered
    ]
    width = max(map(len, what[:SHOWN_REASONS]), default=0)
    lines = [
        f"{tally.count:>8,}  {text:<{width}}  {_places(tally, alone)}"
        for text, (_, tally) in zip(what, ordered[:SHOWN_REASONS], strict=False)
    ]
    rest = sum(tally.count for _, tally in ordered[SHOWN_REASONS:])
    return [*lines, f"{rest:>8,}  for other reasons"] if rest else lines


def _places(tally: Tally, alone: bool) -> str:
    """The first places, each file named once; not at all when it is `alone`: rows 3, 8, 9 and 4 more."""
    shown = ""
    before = ""
    for place in tally.places[:SHOWN_PLACES]:
        parts = PLACE.fullmatch(one_line(place))
        name, mark, number = parts.groups() if parts else (place, "", "")
        if alone and not shown:
            shown = f"{'line' if mark == ':' else 'row'}{'s' if tally.count > 1 else ''} {number}"
        elif alone or name == before:
            shown += f", {number}"
        else:
            shown += f"{'; ' if shown else ''}{_shortened(name.rpartition('/')[2], 30)}{mark}{number}"
        before = name
    rest = tally.count - len(tally.places[:SHOWN_PLACES])
    return shown + (f" and {rest:,} more" if rest else "")


def _lengths(report: "Report") -> list[str]:
    if not report.lengths:
        return []
    lines = ["tokens    " + "".join(f"{name:>8}" for name in PERCENTILES)]
    for part, values in report.lengths.items():
        lines.append(f"{part:<10}" + "".join(f"{values[name]:>8,}" for name in PERCENTILES))
    bias = report.length_bias
    lines.append(
        f"chosen is longer in {bias.chosen_longer:.0%} of the pairs, shorter in {bias.rejected_longer:.0%}; "
        f"{bias.mean_chosen:,.0f} tokens on average against {bias.mean_rejected:,.0f}"
    )
    return lines


def _warnings(report: "Report", room: int) -> list[str]:
    """As many warnings as go into `room` lines, and the number of the others."""
    lines: list[str] = []
    warnings = report.warnings()
    for shown, notice in enumerate(warnings):
        wrapped = textwrap.wrap(f"warning: {notice.text}", WIDTH, subsequent_indent=" " * 9)
        rest = len(warnings) - shown
        if len(lines) + len(wrapped) > room - (rest > 1):
            return [*lines, f"and {rest:,} more warnings, which --json tells"]
        lines += wrapped
    return lines


def notices(report: "Report") -> list[Notice]:
    """See `Report.warnings`."""
    return [
        notice
        for group in (_losses(report), _oddities(report), _templates(report), _of_sources(report))
        for notice in group
    ]


def _losses(report: "Report") -> Iterator[Notice]:
    if report.lost_count > MANY * max(1, report.candidates):
        yield _notice("data.many_dropped", "of the rows are dropped.", report.lost_count, report.candidates)
    prompts = report.cut.get("prompt", Tally()).count
    if prompts > MANY * max(1, report.kept):
        text = "of the prompts are cut; raise data.max_prompt_length if memory allows."
        yield _notice("data.many_prompts_cut", text, prompts, report.kept)
    sides = [report.cut.get(side, Tally()).count for side in ("chosen", "rejected")]
    if max(sides) > MANY * max(1, report.kept):
        text = "of the chosen or rejected completions are cut and never end; raise data.max_length if memory allows."
        yield _notice("data.many_completions_cut", text, max(sides), report.kept)


def _oddities(report: "Report") -> Iterator[Notice]:
    if report.duplicates.count > MANY * max(1, report.kept):
        text = "of the pairs repeat another one; they count as often as they are there."
        yield _notice("data.many_duplicates", text, report.duplicates.count, report.kept)
    bias = report.length_bias
    ratio = bias.mean_chosen / bias.mean_rejected if bias.mean_rejected else 1.0
    if report.kept >= 20 and bias.chosen_longer >= 0.6 and ratio >= 1.2:
        text = (
            f"chosen completions are {ratio - 1:.0%} longer on average: the model may learn length, "
            "not quality. Watch the length of its answers."
        )
        yield Notice("data.chosen_longer", text, {"ratio": round(ratio, 3), "share": bias.chosen_longer})
    if report.eval_wanted and report.kept and not report.eval:
        text = "nothing is held out for evaluation: too few pairs, or all with the same prompt."
        yield Notice("data.no_eval", text, {"pairs": report.kept})


def _of_sources(report: "Report") -> Iterator[Notice]:
    for source in report.sources:
        unmatched = [value for value in source.excluded if not value.rows]
        if unmatched:
            yield _unmatched(source, unmatched)
        if source.unread:
            columns = " and ".join(f"`{name}`" for name in source.unread)
            text = (
                f"{source.path}: {columns} of its rows are for POLAR reward models, and not read: what is "
                "trained is chosen against rejected."
            )
            yield Notice(
                "data.for_reward_model", one_line(text), {"path": source.path, "columns": source.unread}
            )


def _unmatched(source: SourceReport, values: list[Excluded]) -> Notice:
    near = next((value.near for value in values if value.near), "")
    shown = ", ".join(map(str, values[:SHOWN_VALUES]))
    more = f" and {len(values) - SHOWN_VALUES} more" if len(values) > SHOWN_VALUES else ""
    hint = f" Did you mean {near}?" if near else ""
    text = f"{source.path}: none of the {source.rows:,} rows read has {shown}{more}, which `exclude` names.{hint}"
    params = {"path": source.path, "rows": source.rows, "values": [*map(str, values)], "near": near}
    return Notice("data.exclude_unmatched", one_line(text), params | ({"case": "near"} if near else {}))


def _templates(report: "Report") -> Iterator[Notice]:
    if texts := report.text_for_chat.count:
        text = (
            f"{texts:,} pairs are plain text, and are trained as it stands, without the model's chat template. "
            'If they are questions and answers, write format = "prompt-pairs" for their source.'
        )
        yield Notice("data.text_for_chat_model", text, {"count": texts, "total": report.kept})
    if lost := report.tools_lost.count:
        text = (
            f"{lost:,} pairs bring tools, and the chat template does not show them to the model. "
            "Name one that does: chat_template in [data]."
        )
        yield Notice("data.tools_not_rendered", text, {"count": lost, "total": report.kept})
    yield from report.notices


def _notice(code: str, text: str, count: int, total: int) -> Notice:
    return Notice(code, f"{count / max(1, total):.0%} {text}", {"count": count, "total": total})


def _shortened(text: str, width: int) -> str:
    """The text in at most `width` characters; of a path the end tells more than the beginning."""
    return text if len(text) <= width else "..." + text[3 - width :]
