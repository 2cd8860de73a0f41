"""From a config to two files of pairs: everything accounted for, nothing done twice, every failure named."""

import json
import tracemalloc
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from engine.data.prepare import make_pairs, prepare
from engine.exits import CannotWriteError, StopRequested, UnusableError
from tests.engine.preparing import config_for, count_readings, row, texts, write


def test_every_row_is_kept_or_dropped_for_a_reason(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    rows = [row(n) for n in range(30)]
    rows[3] = row(3, chosen="")
    rows[4] = row(4, rejected=" is blue 4")
    rows[5] = row(5, prompt=" ")
    rows[6] = rows[7] = row(7)
    rows[8] = row(8, prompt="sea " * 90)
    file = write(tmp_path / "a.jsonl", rows)
    prepared = prepare(config_for(file, eval_fraction=0.2), tiny_tokenizer, tmp_path / "out")
    report = prepared.report
    assert (report.rows, report.kept, report.train, report.eval) == (30, 27, 22, 5)
    dropped = {name: tally.places for name, tally in report.dropped.items()}
    assert dropped == {"empty_chosen": [f"{file}:4"], "equal": [f"{file}:5"], "no_prompt": [f"{file}:6"]}
    assert report.cut["prompt"].places == [f"{file}:9"]
    assert (report.duplicates.count, report.duplicates.places) == (1, [f"{file}:8"])
    assert prepared.eval is not None
    assert (len(prepared.train), len(prepared.eval)) == (22, 5)
    together = texts(prepared.train, tiny_tokenizer) + texts(prepared.eval, tiny_tokenizer)
    expected = [n for n in range(30) if n not in (3, 4, 5, 6, 8)]
    assert {f"The sky {n} is blue {n}<|im_end|>" for n in expected} < set(together)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "eval.arrow",
        "report.json",
        "train.arrow",
    ]


def test_sources_are_joined_in_order_and_each_has_its_format(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    first = write(tmp_path / "a.jsonl", [row(0), row(1)])
    talk = {"conversations": [{"from": "human", "value": "Hi"}]}
    turn = {"from": "gpt", "value": "blue"}
    second = write(tmp_path / "b.jsonl", [{**talk, "chosen": turn, "rejected": {**turn, "value": "green"}}])
    prepared = prepare(config_for(first, second, eval_fraction=0.0), tiny_tokenizer, tmp_path / "out")
    assert prepared.eval is None
    assert [(s.format, s.kept) for s in prepared.report.sources] == [
        ("trl-explicit", 2),
        ("sharegpt-ranking", 1),
    ]
    assert [prepared.train.origin(n) for n in range(3)] == [(0, 1), (0, 2), (1, 1)]
    assert texts(prepared.train, tiny_tokenizer)[2].endswith("<|im_start|>assistant\nblue<|im_end|>")


def test_a_complete_set_is_reused_without_reading(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(25)])
    config = config_for(file)
    readings = count_readings(monkeypatch)
    first = prepare(config, tiny_tokenizer, tmp_path / "out")
    again = prepare(config, tiny_tokenizer, tmp_path / "out")
    assert (again.report, again.train.digest()) == (first.report, first.train.digest())
    assert readings == [1]


@pytest.mark.parametrize("change", ["data", "seed", "file", "damage", "report", "stops", "tokenizer"])
def test_what_changed_or_broke_is_prepared_again(
    tmp_path: Path,
    tiny_tokenizer: PreTrainedTokenizerBase,
    tiny_tokenizer_with_bos: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(25)])
    out = tmp_path / "out"
    readings = count_readings(monkeypatch)
    prepare(config_for(file), tiny_tokenizer, out)
    if change == "file":
        write(file, [row(n) for n in range(26)])
    if change == "damage":
        (out / "train.arrow").write_bytes(b"broken")
    if change == "report":
        (out / "report.json").write_text((out / "report.json").read_text()[:-20])
    config = config_for(file, seed=int(change == "seed"), max_length=60 if change == "data" else 64)
    tokenizer = tiny_tokenizer_with_bos if change == "tokenizer" else tiny_tokenizer
    prepared = prepare(config, tokenizer, out, stop_ids=[1] if change == "stops" else None)
    assert len(prepared.train) == prepared.report.train
    assert readings == [1, 1]


def test_preparing_twice_gives_the_same_files(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(40)])
    for name in ("one", "two"):
        prepare(config_for(file, eval_fraction=0.3), tiny_tokenizer, tmp_path / name)
    for name in ("train.arrow", "eval.arrow", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_row_that_cannot_be_understood_is_named(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    rows = [row(n) for n in range(200)]
    rows[170] = row(170, chosen=["\x1b[31m"])
    file = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(UnusableError) as caught:
        prepare(config_for(file), tiny_tokenizer, tmp_path / "out")
    assert f"{file}:171: `chosen` is a list: expected text (format trl-explicit)" in str(caught.value)
    assert not (tmp_path / "out" / "report.json").exists()


def test_an_escape_in_a_row_does_not_reach_the_message(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    turn = {"role": "\x1b]0;title\x07", "content": "x"}
    file = write(tmp_path / "a.jsonl", [{"prompt": [turn], "chosen": [turn], "rejected": [turn]}])
    with pytest.raises(UnusableError) as caught:
        prepare(config_for(file), tiny_tokenizer, tmp_path / "out")
    assert "\x1b" not in str(caught.value)
    assert "\\x1b]0;title" in str(caught.value)


def test_too_few_pairs_for_a_step_are_an_error_with_both_numbers(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(20)])
    config = config_for(file, pairs_per_step=20)
    with pytest.raises(UnusableError, match=r"19 pairs to train on \(1 more .*\), and one step takes 20"):
        prepare(config, tiny_tokenizer, tmp_path / "out")
    assert len(make_pairs(config, tiny_tokenizer, tmp_path / "out").train) == 19


def test_nothing_left_says_why(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    file = write(tmp_path / "a.jsonl", [row(1, chosen=""), row(2, chosen=" is green")])
    with pytest.raises(
        UnusableError, match=r"None of the 2 rows .* 1 the chosen completion is empty; 1 chosen and"
    ):
        prepare(config_for(file), tiny_tokenizer, tmp_path / "out")
    with pytest.raises(UnusableError, match="holds no rows"):
        prepare(config_for(write(tmp_path / "b.jsonl", [])), tiny_tokenizer, tmp_path / "out")


def test_a_stop_is_honoured_between_rows_and_leaves_no_half_set(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(500)])
    seen: list[tuple[int, int | None]] = []
    config = config_for(file)
    with pytest.raises(StopRequested):
        prepare(
            config,
            tiny_tokenizer,
            tmp_path / "out",
            progress=lambda done, total: seen.append((done, total)),
            should_stop=lambda: any(total is not None for _, total in seen),
        )
    assert seen[0] == (500, None)
    assert 0 < seen[-1][0] < 500
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_folder_that_cannot_be_written_is_named(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(25)])

    def read_only(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    config = config_for(file)
    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(CannotWriteError, match="out: cannot write"):
        prepare(config, tiny_tokenizer, tmp_path / "out")


def test_a_chat_template_file_replaces_the_models(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}")
    asked = [{"role": "user", "content": "Hi"}]
    answers = [[{"role": "assistant", "content": answer}] for answer in ("blue", "green")]
    file = write(tmp_path / "a.jsonl", [{"prompt": asked, "chosen": answers[0], "rejected": answers[1]}])
    config = config_for(file, chat_template=str(template))
    prepared = prepare(config, tiny_tokenizer, tmp_path / "out")
    assert texts(prepared.train, tiny_tokenizer) == ["user=Hi;assistant=blue;<|im_end|>"]
    template.write_text(" ")
    with pytest.raises(UnusableError, match=r"chat\.jinja is empty"):
        prepare(config, tiny_tokenizer, tmp_path / "out")
    template.unlink()
    with pytest.raises(UnusableError, match=r"chat\.jinja cannot be read: No such file"):
        prepare(config, tiny_tokenizer, tmp_path / "out")


def test_ten_times_the_rows_take_hardly_more_memory(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    peaks = []
    prepare(config_for(write(tmp_path / "a.jsonl", [row(0)])), tiny_tokenizer, tmp_path / "warm")
    for count in (1000, 5000):
        file = tmp_path / f"{count}.jsonl"
        with file.open("w") as out:
            out.writelines(json.dumps(row(n)) + "\n" for n in range(count))
        tracemalloc.start()
        make_pairs(config_for(file), tiny_tokenizer, tmp_path / str(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 200 * 4000
