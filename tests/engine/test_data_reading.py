"""Which rows of a source are read, and what of them: columns by hand, a limit, scores far enough apart."""

from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.data.prepare import make_pairs
from engine.data.prepared.prepared_set import Prepared
from engine.exits import UnusableError
from tests.engine.preparing import Row, config_of, local, row, texts, write

OTHER = {"prompt": "question", "chosen": "good", "rejected": "bad"}


def other(number: int, **more: Any) -> Row:
    """A row of a data set that calls its columns otherwise."""
    plain = row(number)
    return {**{name: plain[ours] for ours, name in OTHER.items()}, **more}


class Preparing:
    """Prepares one file with the keys of its source."""

    def __init__(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        self.folder, self.tokenizer = folder, tokenizer

    def __call__(self, rows: list[Row], **source: Any) -> Prepared:
        file = write(self.folder / "rows.jsonl", rows)
        config = config_of(local(file, **source), eval_fraction=0)
        return make_pairs(config, self.tokenizer, self.folder / "out")

    def kept(self, rows: list[Row], **source: Any) -> list[str]:
        """The chosen sides of the pairs, without EOS."""
        made = self(rows, **source)
        return [text.removesuffix("<|im_end|>") for text in texts(made.train, self.tokenizer)]


@pytest.fixture
def prepare(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase) -> Preparing:
    return Preparing(tmp_path, tiny_tokenizer)


def test_columns_by_hand_give_the_layout_its_names(prepare: Preparing) -> None:
    rows = [other(n) for n in range(3)]
    assert prepare.kept(rows, columns=OTHER) == [f"The sky {n} is blue {n}" for n in range(3)]


def test_columns_that_are_not_named_are_not_read(prepare: Preparing) -> None:
    rows = [other(0, prompt="Hidden", chosen=7, messages=[{"role": "user", "content": "x"}])]
    made = prepare(rows, columns=OTHER)
    assert made.report.sources[0].format == "trl-explicit"
    assert prepare.kept(rows, columns=OTHER) == ["The sky 0 is blue 0"]


def test_one_column_may_stand_for_two(prepare: Preparing) -> None:
    rows = [row(0, other=" is grey")]
    kept = prepare.kept(rows, columns={"prompt": "prompt", "chosen": "other", "rejected": "rejected"})
    assert kept == ["The sky 0 is grey"]


@pytest.mark.parametrize(
    ("missing", "hint"),
    [("god", 'Did you mean "good"?'), ("\x1b[31m", "Columns here: question, good, bad.")],
)
def test_a_column_that_is_not_there_is_named_with_the_row_and_what_is(
    prepare: Preparing, missing: str, hint: str
) -> None:
    with pytest.raises(UnusableError) as caught:
        prepare([other(0)], columns={**OTHER, "chosen": missing})
    shown = missing.replace("\x1b", "\\x1b")
    assert caught.value.code == "data.column_missing"
    assert caught.value.text.endswith(
        f'rows.jsonl:1: there is no column "{shown}", which `columns` names for chosen. {hint}'
    )


def test_a_column_that_a_later_row_lacks_is_named_with_that_row(prepare: Preparing) -> None:
    late = {key: value for key, value in other(40).items() if key != "bad"}
    with pytest.raises(UnusableError, match=r'rows\.jsonl:41: there is no column "bad"'):
        prepare([*(other(n) for n in range(40)), late], columns=OTHER)


def test_a_limit_is_of_rows_read_not_of_pairs_kept(prepare: Preparing) -> None:
    rows = [row(0), row(1, chosen=""), row(2), row(3)]
    made = prepare(rows, limit=3)
    assert (made.report.rows, made.report.kept, made.report.sources[0].rows) == (3, 2, 3)


def test_what_stands_after_the_limit_may_be_broken(prepare: Preparing) -> None:
    assert len(prepare([row(0), row(1), {"prompt": 7}], limit=2).train) == 2


def scored(number: int, chosen: Any, rejected: Any) -> Row:
    return row(number, score_chosen=chosen, score_rejected=rejected)


def test_pairs_whose_scores_are_too_close_are_dropped_and_so_are_those_without(prepare: Preparing) -> None:
    rows = [scored(0, 3, 2), scored(1, 2.5, 2), scored(2, None, 2), scored(3, 9, 1), scored(4, 1, 3), row(5)]
    made = prepare(rows, min_margin=1)
    places = {
        reason: [place.rpartition(":")[2] for place in tally.places]
        for reason, tally in made.report.dropped.items()
    }
    assert places == {"margin": ["2", "5"], "no_score": ["3", "6"]}
    assert prepare.kept(rows, min_margin=1) == ["The sky 0 is blue 0", "The sky 3 is blue 3"]


def test_without_a_margin_scores_do_not_matter(prepare: Preparing) -> None:
    assert len(prepare([scored(0, 1, 3), scored(1, None, None)]).train) == 2


def test_a_score_that_is_no_number_is_none(prepare: Preparing) -> None:
    rows = [scored(0, 3, 2), scored(1, "high", 2), scored(2, "4", "2"), row(3, margin=float("nan"))]
    made = prepare(rows, min_margin=1)
    assert (made.report.kept, made.report.dropped["no_score"].count) == (2, 2)


@pytest.mark.parametrize("count", [1, 200])
def test_a_margin_for_rows_without_any_score_is_refused_with_the_columns_known(
    prepare: Preparing, count: int
) -> None:
    with pytest.raises(UnusableError) as caught:
        prepare([row(n, stars=5) for n in range(count)], min_margin=0.5)
    assert caught.value.code == "data.no_scores"
    assert "score_chosen, score_rejected" in caught.value.text
    assert "Name yours in `columns`" in caught.value.text


def test_scores_by_another_name_are_named_in_columns(prepare: Preparing) -> None:
    rows = [row(0, up=5, down=1), row(1, up=2, down=2)]
    names = {name: name for name in ("prompt", "chosen", "rejected")}
    columns = {**names, "score_chosen": "up", "score_rejected": "down"}
    assert prepare.kept(rows, columns=columns, min_margin=1) == ["The sky 0 is blue 0"]
