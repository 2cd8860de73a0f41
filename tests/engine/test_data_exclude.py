"""Rows left out by the value of a column: before anything else is made of them, counted, and never by a typo."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.config.schema import Source
from engine.data.prepare import make_pairs
from engine.data.prepared.prepared_set import Prepared
from engine.data.report.report import Report
from engine.data.report.tallies import Excluded, Notice
from engine.exits import UnusableError
from tests.engine.hub_here import parquet
from tests.engine.preparing import Row, config_of, local, row, texts, write
from tests.hub_server import HubServer

TOXIC = "toxic-dpo-v0.2"
EXCLUDE = {"source": [TOXIC]}
REPO = "owner/Mix"


def mixed(number: int, source: Any = "Airoboros", **changes: Any) -> Row:
    """A row of a mixture, which says where it is from."""
    return row(number, source=source, **changes)


def third_toxic(count: int) -> list[Row]:
    return [mixed(n, TOXIC if n % 3 == 2 else "Airoboros") for n in range(count)]


class Preparing:
    """Prepares sources, each time into another folder."""

    def __init__(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self.folder, self.tokenizer, self.count = folder, tokenizer, 0

    def __call__(self, *sources: dict[str, Any]) -> Prepared:
        self.count += 1
        config = config_of(*sources, eval_fraction=0)
        return make_pairs(config, self.tokenizer, self.folder / f"out-{self.count}")

    def rows(self, rows: list[Row], **source: Any) -> Prepared:
        return self(local(write(self.folder / "rows.jsonl", rows), **source))

    def kept(self, made: Prepared) -> list[str]:
        """The chosen sides, without EOS."""
        return [text.removesuffix("<|im_end|>") for text in texts(made.train, self.tokenizer)]


@pytest.fixture
def prepare(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase) -> Preparing:
    return Preparing(tmp_path, tiny_tokenizer)


def told(report: Report) -> list[Notice]:
    """The warnings about rows that are left out or not."""
    return [n for n in report.warnings() if n.code in ("data.exclude_unmatched", "data.many_dropped")]


def test_rows_with_a_value_are_left_out_counted_and_named(prepare: Preparing) -> None:
    made = prepare.rows(third_toxic(6), exclude=EXCLUDE)
    assert prepare.kept(made) == [f"The sky {n} is blue {n}" for n in (0, 1, 3, 4)]
    report = made.report
    assert (report.rows, report.kept, report.sources[0].rows) == (6, 4, 6)
    tally = report.dropped["excluded"]
    assert [place.rpartition(":")[2] for place in tally.places] == ["3", "6"]
    assert report.sources[0].excluded == [Excluded("source", f'"{TOXIC}"', 2)]
    shown = report.render()
    assert f'left out: 2 with source = "{TOXIC}"' in shown
    assert "2  left out by exclude  lines 3, 6" in shown
    assert told(report) == []


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ([1], ["zero", "true", "text", "half", "none", "list"]),
        ([True], ["zero", "one", "text", "half", "none", "list"]),
        (["1"], ["zero", "one", "true", "half", "none", "list"]),
        ([0.5, 0], ["one", "true", "text", "none", "list"]),
    ],
)
def test_values_are_texts_numbers_or_truths_and_none_of_them_is_another(
    prepare: Preparing, values: list[Any], left: list[str]
) -> None:
    marks = {"zero": 0.0, "one": 1, "true": True, "text": "1", "half": 0.5, "none": None, "list": [1]}
    rows = [row(n, prompt=name, mark=mark) for n, (name, mark) in enumerate(marks.items())]
    made = prepare.rows(rows, exclude={"mark": values})
    assert [text.partition(" ")[0] for text in prepare.kept(made)] == left


def test_several_columns_leave_out_what_any_of_them_names(prepare: Preparing) -> None:
    rows = [mixed(0, bad=False), mixed(1, bad=True), mixed(2, TOXIC, bad=True), mixed(3, TOXIC, bad=False)]
    made = prepare.rows(rows, exclude={**EXCLUDE, "bad": [True]})
    assert prepare.kept(made) == ["The sky 0 is blue 0"]
    assert [(str(one), one.rows) for one in made.report.sources[0].excluded] == [
        (f'source = "{TOXIC}"', 2),
        ("bad = true", 1),
    ]


def test_a_row_that_is_left_out_may_be_in_any_layout_or_none(prepare: Preparing) -> None:
    broken: list[Row] = [
        {"source": TOXIC, "prompt": 7, "chosen": None},
        {"source": TOXIC, "messages": [{"role": "wizard", "content": "x"}], "rejected_response": "y"},
        {"source": TOXIC},
    ]
    rows = [mixed(0), *broken, mixed(1), mixed(2), broken[0]]
    assert len(prepare.rows(rows, exclude=EXCLUDE).train) == 3
    with pytest.raises(UnusableError):
        prepare.rows(rows)


def test_so_may_rows_before_the_first_that_stays(prepare: Preparing) -> None:
    rows = [{"source": TOXIC, "prompt": n} for n in range(200)] + [mixed(n) for n in range(3)]
    made = prepare.rows(rows, exclude=EXCLUDE)
    assert (made.report.kept, made.report.sources[0].excluded[0].rows) == (3, 200)


def test_a_column_is_named_as_in_the_data_whatever_columns_says(prepare: Preparing) -> None:
    rows = [{"from": source, "q": f"p{n}", "good": " a", "bad": " b"} for n, source in enumerate("xyx")]
    columns = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    made = prepare.rows(rows, columns=columns, exclude={"from": ["x"]})
    assert prepare.kept(made) == ["p1 a"]
    lacking = [{"from": "x"}, *rows]
    assert prepare.kept(prepare.rows(lacking, columns=columns, exclude={"from": ["x"]})) == ["p1 a"]


def test_the_limit_counts_rows_read_those_left_out_too(prepare: Preparing) -> None:
    made = prepare.rows(third_toxic(30), exclude=EXCLUDE, limit=9)
    assert (made.report.rows, made.report.kept) == (9, 6)


def test_rows_are_left_out_before_they_are_joined(prepare: Preparing) -> None:
    def half(label: bool, source: str) -> Row:
        return {"prompt": "q", "completion": f" {label} {source}", "label": label, "source": source}

    rows = [half(True, TOXIC), half(True, "web"), half(False, "web")]
    made = prepare.rows(rows, exclude=EXCLUDE)
    assert prepare.kept(made) == ["q True web"]
    assert (made.report.rows, made.report.sources[0].joined) == (3, 1)
    assert made.report.candidates == 1


def test_a_table_of_text_compares_texts(prepare: Preparing, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "chosen", "rejected", "stars"])
        writer.writeheader()
        writer.writerows(row(n, stars=n) for n in range(3))
    assert len(prepare(local(path, exclude={"stars": ["1"]})).train) == 2
    made = prepare(local(path, exclude={"stars": [1]}))
    (notice,) = told(made.report)
    assert 'none of the 3 rows read has stars = 1, which `exclude` names. Did you mean "1"?' in notice.text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            ["toxic-dpo-v0.1"],
            f'has source = "toxic-dpo-v0.1", which `exclude` names. Did you mean "{TOXIC}"?',
        ),
        (["?", TOXIC], 'has source = "?", which `exclude` names.'),
        (
            list("abcdefg"),
            'has source = "a", source = "b", source = "c", source = "d", source = "e" and 2 more',
        ),
    ],
)
def test_a_value_that_no_row_has_is_warned_of(prepare: Preparing, values: list[str], said: str) -> None:
    made = prepare.rows(third_toxic(6), exclude={"source": values})
    (notice,) = told(made.report)
    assert notice.code == "data.exclude_unmatched"
    assert f"rows.jsonl: none of the 6 rows read {said}" in notice.text
    again = Report.from_json(json.loads(json.dumps(made.report.to_json())))
    assert again is not None
    assert again.warnings() == made.report.warnings()


@pytest.mark.parametrize(
    ("column", "hint"),
    [("sorce", 'Did you mean "source"?'), ("?", "Columns here: prompt, chosen, rejected, source.")],
)
def test_an_unknown_column_is_an_error_with_the_columns_there_are(
    prepare: Preparing, column: str, hint: str
) -> None:
    with pytest.raises(UnusableError) as caught:
        prepare.rows(third_toxic(300), exclude={"source": [TOXIC], column: ["x"]})
    assert caught.value.code == "data.exclude_column"
    assert caught.value.text.endswith(
        f'rows.jsonl: `exclude` names the column "{column}", and none of the 300 rows read has one. {hint}'
    )


def test_a_column_that_only_some_rows_have_is_known_and_the_others_stay(prepare: Preparing) -> None:
    rows = [row(n) for n in range(299)] + [row(299, flagged=True)]
    made = prepare.rows(rows, exclude={"flagged": [True]})
    assert (made.report.kept, told(made.report)) == (299, [])


def test_a_source_of_which_nothing_is_left_is_an_error(prepare: Preparing) -> None:
    with pytest.raises(UnusableError, match=r"`exclude` leaves out all 2 rows read") as caught:
        prepare.rows([mixed(0, TOXIC), mixed(1, TOXIC)], exclude=EXCLUDE)
    assert caught.value.code == "data.all_excluded"


def test_what_was_asked_to_be_left_out_is_no_loss_to_be_warned_of(prepare: Preparing) -> None:
    made = prepare.rows([*third_toxic(30), mixed(30, chosen="")], exclude=EXCLUDE)
    report = made.report
    assert (report.dropped_count, report.excluded_count, report.lost_count, report.candidates) == (
        11,
        10,
        1,
        21,
    )
    assert told(report) == []


def test_sources_leave_out_each_its_own(prepare: Preparing, tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.jsonl", third_toxic(6)) for name in "ab"]
    made = prepare(local(files[0], exclude=EXCLUDE), local(files[1]))
    assert [source.kept for source in made.report.sources] == [4, 6]
    assert [place.rpartition("/")[2] for place in made.report.dropped["excluded"].places] == [
        "a.jsonl:3",
        "a.jsonl:6",
    ]


def test_what_is_left_out_makes_another_set(prepare: Preparing, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", third_toxic(6))
    sources = [local(file), local(file, exclude=EXCLUDE), local(file, exclude={"source": ["Airoboros"]})]
    assert [prepare(source).reused for source in sources] == [False, False, False]
    again = prepare(sources[1])
    assert again.reused
    assert again.report.sources[0].excluded[0].rows == 2


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("split", ["train", "train+test"])
def test_datasets_of_the_hub_leave_out_rows_downloaded_or_streamed(
    hub: HubServer, prepare: Preparing, split: str, streaming: bool
) -> None:
    files = {"data/train-0.parquet": parquet(third_toxic(90)), "data/test-0.parquet": parquet(third_toxic(9))}
    hub.add(REPO, files, "dataset")
    count = 99 if "test" in split else 90
    made = prepare(
        {"source": "hub", "path": REPO, "split": split, "streaming": streaming, "exclude": EXCLUDE}
    )
    assert (made.report.rows, made.report.kept) == (count, count * 2 // 3)
    assert made.report.dropped["excluded"].places[0] == f"{REPO} row 3"


def test_an_unknown_column_of_a_stream_is_told_before_all_of_it_is_read(
    hub: HubServer, prepare: Preparing
) -> None:
    hub.add(REPO, {"data/train-0.parquet": parquet(third_toxic(600))}, "dataset")
    source = {"source": "hub", "path": REPO, "streaming": True, "exclude": {"origin": ["x"]}}
    with pytest.raises(UnusableError, match="none of the 64 rows read has one") as caught:
        prepare(source)
    assert caught.value.code == "data.exclude_column"


@pytest.mark.parametrize(
    "exclude", [{"source": "x"}, {"source": [None]}, {"source": [["x"]]}, {"": ["x"]}, ["source"]]
)
def test_anything_else_than_lists_of_values_by_column_is_refused(exclude: Any) -> None:
    with pytest.raises(ValueError, match="exclude"):
        Source.model_validate({"path": "owner/name", "exclude": exclude})
