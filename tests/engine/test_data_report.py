"""The report: aligned, short, safe to print, and the same after a round through JSON."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.data.report.report import Report, length_bias, percentiles
from engine.data.report.tallies import CUT, DROPPED, Excluded, LengthBias, SourceReport
from engine.sanitize import one_line, visible

HOSTILE = "\x1b]52;c;eA==\x07\x9b31m\u202eevil\x00\r"


def full_report(name: str = "pairs.jsonl", sources: int = 1) -> Report:
    """A report in which everything has happened."""
    report = Report(1024, 512, rows=1000, kept=400, train=400, eval_wanted=True)
    report.sources = [
        SourceReport(name if sources == 1 else f"{name}{n}", "trl-explicit", True, 3, 1000, 400)
        for n in range(sources)
    ]
    for source in report.sources:
        source.excluded = [Excluded(HOSTILE, f'"{name}{n}"', 10 * n) for n in range(4)]
        source.unread = [HOSTILE]
    for reason in DROPPED:
        for line in range(60):
            report.drop(reason, f"{name}:{line + 1}", HOSTILE if reason == "template_refused" else "")
    for part in CUT:
        report.cut[part] = report.dropped["equal"]
    report.duplicates = report.dropped["equal"]
    lengths = np.arange(1, 101, dtype=np.int32)
    report.lengths = {part: percentiles(lengths) for part in ("prompt", "chosen", "rejected")}
    report.length_bias = length_bias(lengths * 3, lengths)
    return report


def test_a_report_of_everything_fits_on_a_screen() -> None:
    for sources in (1, 30):
        text = full_report("a/very/long/path/" * 9 + "pairs.jsonl", sources).render()
        assert len(text.splitlines()) <= 40
        assert max(map(len, text.splitlines())) <= 110
    assert text.endswith("more warnings, which --json tells")


def test_nothing_in_a_report_steers_a_terminal() -> None:
    text = full_report(HOSTILE, 2).render()
    assert text == visible(text)
    assert "\x1b" not in text
    assert "\\x1b]52" in text


@given(st.text())
def test_printable_text_has_no_control_characters_and_can_be_encoded(text: str) -> None:
    safe = visible(text)
    assert not [
        char for char in safe if (ord(char) < 0x20 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0
    ]
    assert not [char for char in safe if char in "\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u2028"]
    safe.encode()
    assert visible(safe) == safe
    assert "\n" not in one_line(text)


def test_ordinary_text_stays_as_it_is() -> None:
    assert visible("Grüße, 你好\n\tمرحبا 🙂") == "Grüße, 你好\n\tمرحبا 🙂"


def test_only_the_first_places_are_kept_and_the_rest_is_counted() -> None:
    report = full_report()
    assert report.dropped["equal"].count == 60
    assert report.dropped["equal"].places == [f"pairs.jsonl:{line}" for line in range(1, 21)]
    assert "pairs.jsonl:1, 2, 3, 4, 5 and 55 more" in report.render()
    report.sources[0].files = 1
    assert "lines 1, 2, 3, 4, 5 and 55 more" in report.render()


def test_json_brings_the_same_report_back() -> None:
    report = full_report()
    value = json.loads(json.dumps(report.to_json()))
    assert Report.from_json(value) == report
    assert [notice["code"] for notice in value["warnings"]] == [notice.code for notice in report.warnings()]
    assert Report.from_json({"rows": "many"}) is None
    assert Report.from_json(None) is None


def test_warnings_say_what_is_worth_knowing_and_nothing_else() -> None:
    codes = {notice.code for notice in full_report().warnings()}
    lost = {"data.many_dropped", "data.many_prompts_cut", "data.many_completions_cut"}
    odd = {"data.exclude_unmatched", "data.for_reward_model", "data.many_duplicates", "data.chosen_longer"}
    assert codes == lost | odd | {"data.no_eval"}
    calm = Report(1024, 512, rows=100, kept=100, train=95, eval=5, eval_wanted=True)
    calm.length_bias = LengthBias(100, 95, 0.55, 0.45)
    assert calm.warnings() == []


def test_percentiles_are_lengths_that_so_many_pairs_do_not_exceed() -> None:
    lengths = np.arange(1, 101, dtype=np.int32)
    assert percentiles(lengths) == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
    assert percentiles(np.array([7], dtype=np.int32))["p50"] == 7
    assert set(percentiles(lengths[:0]).values()) == {0}


def test_the_length_bias_counts_pairs_and_averages_tokens() -> None:
    bias = length_bias(np.array([3, 5, 4, 4], np.int32), np.array([1, 1, 4, 6], np.int32))
    assert (bias.mean_chosen, bias.mean_rejected) == (4.0, 3.0)
    assert (bias.chosen_longer, bias.rejected_longer) == (0.5, 0.25)
