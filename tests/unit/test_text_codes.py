"""Whatever the engine says by a code is said in Chinese, with values that are there; and nothing else is."""

import re
from collections.abc import Iterator
from string import Formatter

import pytest

from dpo_tui.text import LANGUAGES, catalogue, use
from dpo_tui.text.explain import advice, explain
from engine.config.explain import LIMITS
from engine.data.report.tallies import CUT, DROPPED
from tests.unit.raised_codes import Place, faults, places, words

ITSELF = "config.invalid"
"""Said by its problems, each of which has a code of its own."""

NO_FAILURE = ("run.done", "export.done", ITSELF, "preview.no_pair", "preview.bad_request")


@pytest.fixture
def chinese() -> Iterator[None]:
    use("zh")
    yield
    use("en")


def placeholders(text: str) -> set[str]:
    return {name.partition("[")[0] for _, name, _, _ in Formatter().parse(text) if name}


def by_code(found: tuple[Place, ...]) -> dict[str, list[Place]]:
    codes: dict[str, list[Place]] = {}
    for place in found:
        codes.setdefault(place.code, []).append(place)
    return codes


def texts(kind: str) -> dict[str, str]:
    """The Chinese texts of a kind by the rest of their key."""
    start = f"{kind}."
    return {key.removeprefix(start): text for key, text in catalogue("zh").items() if key.startswith(start)}


def test_the_source_has_the_codes_that_are_known_to_be_in_it() -> None:
    known = {"run.exists", "hub.auth", "data.many_dropped", "rank.killed", "model.bad_model", "policy.mode"}
    assert known <= by_code(places()).keys()
    assert {"unknown", "expected", "lengths.pack", "toml.invalid", "set.syntax"} <= by_code(faults()).keys()


def test_every_code_has_a_chinese_sentence() -> None:
    said = texts("code")
    missing = {code: where[0].where for code, where in by_code(places()).items() if code not in said}
    assert missing.keys() <= {ITSELF}, missing


def test_every_fault_has_a_chinese_sentence() -> None:
    said = texts("fault")
    hints = {code for code in by_code(faults()) if f"expected.{code}" in said}
    assert not {*by_code(faults()), *LIMITS} - hints - said.keys()


def test_a_sentence_fills_in_only_what_every_place_gives() -> None:
    """Those of a `case` only what some place gives: a place that lacks it has another case."""
    for kind, found in (("code", by_code(places())), ("fault", by_code(faults()))):
        for code, where in found.items():
            said, closed = texts(kind), [place for place in where if not place.open]
            for place in closed:
                key = f"{code}.{place.case}" if f"{code}.{place.case}" in said else code
                lacking = placeholders(said.get(key, "")) - place.params - {"help"}
                assert not lacking, f"{kind}.{key} wants {lacking}, {place.where} has {place.params}"
            for key, text in said.items():
                if key.startswith(f"{code}."):
                    hints = found.get(key.removeprefix(f"{code}."), [])
                    given = {param for place in (*closed, *hints) for param in place.params}
                    assert placeholders(text) <= given, f"{kind}.{key}: {placeholders(text) - given}"


def test_nothing_is_said_by_a_code_that_nobody_uses() -> None:
    codes = by_code(places()).keys()
    for key in [*texts("code"), *texts("advice")]:
        if not key.startswith("word."):
            code, case = re.fullmatch(r"([a-z]+\.[a-z0-9_]+)\.?(.*)", key).groups()  # type: ignore[union-attr]
            assert code in codes, key
            assert not case or case in words() or case.startswith("exit_"), key
    known = {*by_code(faults()), *LIMITS, "more"}
    for key in texts("fault"):
        assert any(key == code or key.startswith(f"{code}.") for code in known), key


def test_every_word_that_is_replaced_is_one_of_the_engine_s() -> None:
    joined = "\n".join(words())
    for key in texts("code.word"):
        word = key.partition(".")[2]
        assert word in joined or word.startswith("tokenizer's") or word == "world size", key


def test_every_warning_and_failure_comes_with_advice_in_both_languages() -> None:
    english = {key for key in catalogue("en") if key.startswith("advice.")}
    assert english == {key for key in catalogue("zh") if key.startswith("advice.")}
    for place in places():
        if place.where.startswith("engine") and place.call != "UsageError" and place.code not in NO_FAILURE:
            assert f"advice.{place.code}" in english, place


def test_the_reasons_of_the_data_report_are_the_engine_s() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    told = {f"report.dropped.{name}": text for name, text in DROPPED.items()}
    told |= {f"report.cut.{name}": text for name, text in CUT.items()}
    for key, text in told.items():
        assert english[key] == text
        assert chinese[key] != text
    assert {key for key in english if key.startswith(("report.dropped.", "report.cut."))} == told.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_advice_needs_no_values(language: str) -> None:
    texts = catalogue("en" if language == "en" else "zh")
    assert not [key for key, text in texts.items() if key.startswith("advice.") and placeholders(text)]


def test_in_english_the_engine_s_own_sentence_stands() -> None:
    assert explain("run.exists", "it exists", {"run": "a"}) == "it exists"
    assert advice("train.non_finite").startswith("The training diverged")
    assert advice("no.such") == ""


@pytest.mark.usefixtures("chinese")
def test_a_sentence_has_its_values_and_words() -> None:
    told = explain("train.non_finite", "English", {"step": 7, "what": "gradient norm", "value": "nan"})
    assert told.startswith("第 7 步的梯度范数为 nan")
    assert "下载 a/b" in explain(
        "hub.gated", "English", {"action": "download", "repo": "a/b", "page": "https://x"}
    )


@pytest.mark.usefixtures("chinese")
def test_a_case_picks_the_sentence_and_an_unknown_one_the_plain_one() -> None:
    params = {"rank": 1, "signal": 9, "name": "SIGKILL"}
    assert "很可能是内存不足" in explain("rank.killed", "English", {**params, "case": "killed"})
    assert explain("rank.killed", "English", {**params, "case": "?"}) == "rank 1 被信号 9（SIGKILL）终止"
    assert explain("rank.killed", "English", params) == "rank 1 被信号 9（SIGKILL）终止"


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"step": 1},
        {"step": None, "what": None, "value": None},
        {"dropped": "many", "rows": [], "share": {}, "limit": "x", "step": 1},
    ],
)
def test_params_of_an_older_or_damaged_run_leave_the_english(params: dict[str, object]) -> None:
    assert explain("gates.dropped", "English", params) == "English"
    assert explain("no.such_code", "English", params) == "English"
    assert explain("", "English", params) == "English"


@pytest.mark.usefixtures("chinese")
def test_a_value_with_braces_is_only_text() -> None:
    assert "{0.__class__}" in explain("run.locked", "English", {"run": "{0.__class__}"})
