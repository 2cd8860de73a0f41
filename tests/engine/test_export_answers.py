"""The same questions before and after: which are asked, what of them is shown, and who answers."""

import gc
import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerBase

from benchmarks import before_after
from engine.config.load import load_config
from engine.data.prepare import make_pairs
from engine.data.prepared.pairs import Pair, PairWriter
from engine.exits import UnusableError
from engine.export import answers
from engine.export.answers import NEW_TOKENS, compared, continued
from engine.export.questions import questions_of
from engine.rundir.paths import RunDir
from tests.engine.preparing import write
from tests.engine.tiny_folder import tiny_llama, tiny_tokenizer
from tests.engine.tiny_run import LORA, exported, tiny_run

FLOAT = "[export]\nverify = false\n[data]\nmax_length = 120\nmax_prompt_length = 100\n"


def chat_run(
    root: Path, model: Path, rows: Sequence[dict[str, Any]], extra: str = "", held_out: float = 0.2
) -> RunDir:
    """A run whose pairs are those of chats, with a share of them held out."""
    run = tiny_run(root, model, f"dtype = 'float32'\n{extra}{FLOAT}eval_fraction = {held_out}\n")
    write(root / "pairs.jsonl", rows)
    for file in run.data_dir.iterdir():
        file.unlink()
    make_pairs(load_config(run.config).config, tiny_tokenizer(), run.data_dir)
    return run


def asked(*turns: str, **changes: Any) -> dict[str, Any]:
    """A pair after turns of user and assistant by turns."""
    roles = ("user", "assistant") * len(turns)
    prompt = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
    good, bad = ([{"role": "assistant", "content": text}] for text in ("yes", "no"))
    return {"prompt": prompt, "chosen": good, "rejected": bad, **changes}


@pytest.fixture
def run(tmp_path: Path, model: Path) -> RunDir:
    return chat_run(tmp_path / "run", model, [asked(f"Why {'so ' * (n % 9)}{n}?") for n in range(40)])


def greedy(model: nn.Module, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], ends: set[int]) -> str:
    """The likeliest continuation, token by token and without anybody's generate."""
    tokens = list(ids)
    with torch.no_grad():
        while len(tokens) < min(len(ids) + NEW_TOKENS, 128) and not (
            len(tokens) > len(ids) and tokens[-1] in ends
        ):
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    new = tokens[len(ids) :]
    text = str(tokenizer.decode(new, skip_special_tokens=True)).strip()
    return text if new[-1] in ends else f"{text}…"


def expected(run: RunDir, model: Any, count: int) -> list[str]:
    tokenizer = tiny_tokenizer()
    ends = set(tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"]))
    return [greedy(model.eval(), tokenizer, q.ids, ends) for q in questions_of(run, tokenizer, count)]


def loaded(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize("extra", ["", LORA])
def test_base_and_export_answer_greedily(tmp_path: Path, model: Path, extra: str) -> None:
    run = chat_run(tmp_path / "run", model, [asked(f"Why {n}?") for n in range(20)], extra)
    folder = exported(run)
    found = compared(run, folder, 2)
    assert [answer.before for answer in found] == expected(run, loaded(model), 2)
    assert [answer.after for answer in found] == expected(run, loaded(folder), 2)
    assert [answer.before for answer in found] != [answer.after for answer in found]
    assert found[0].question.startswith("Why ")
    assert found[0].to_json().keys() == {"question", "before", "after"}


def test_adapter_answers_on_its_base_and_the_base_without_it(tmp_path: Path, model: Path) -> None:
    run = chat_run(tmp_path / "run", model, [asked(f"Why {n}?") for n in range(20)], LORA)
    folder = exported(run, adapter=True)
    found = compared(run, folder, 2)
    assert [answer.before for answer in found] == expected(run, loaded(model), 2)
    adapted = PeftModel.from_pretrained(loaded(model), folder)
    assert [answer.after for answer in found] == expected(run, adapted, 2)


def test_one_model_is_in_memory_at_a_time(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = exported(run)
    bases: list[weakref.ref[Any]] = []
    base, export = answers._base, answers._exported

    def watched(*arguments: Any) -> Any:
        found = base(*arguments)
        bases.append(weakref.ref(found))
        return found

    def after(*arguments: Any) -> Any:
        assert [reference() for reference in bases] == [None]
        return export(*arguments)

    monkeypatch.setattr(answers, "_base", watched)
    monkeypatch.setattr(answers, "_exported", after)
    gc.disable()
    try:
        assert len(compared(run, folder, 1)) == 1
    finally:
        gc.enable()


def test_shortest_distinct_prompts_of_the_held_out_pairs_are_asked(run: RunDir) -> None:
    found = questions_of(run, tiny_tokenizer(), 4)
    lengths = [len(question.ids) for question in found]
    assert lengths == sorted(lengths)
    assert len({tuple(question.ids) for question in found}) == 4
    held_out = json.loads((run.data_dir / "report.json").read_text())["report"]["eval"]
    assert len(questions_of(run, tiny_tokenizer(), 100)) == held_out == 8


def test_training_pairs_are_asked_where_none_are_held_out(tmp_path: Path, model: Path) -> None:
    rows = [asked("Why?"), asked("Why?", chosen=[{"role": "assistant", "content": "perhaps"}]), asked("How?")]
    run = chat_run(tmp_path / "run", model, rows, held_out=0.0)
    assert {question.text for question in questions_of(run, tiny_tokenizer(), 5)} == {"Why?", "How?"}


@pytest.mark.parametrize(
    ("turns", "shown"),
    [
        (("Why?",), "Why?"),
        (("Hello", "Hi", "And\nthen?"), "And\nthen?"),
        (("Say user\n",), "Say user"),
        (("x" * 300 + " then why?",), "x" * 50),
        (("a <|endoftext|> b",), "a  b"),
    ],
)
def test_only_the_last_question_of_a_chat_is_shown(
    tmp_path: Path, model: Path, turns: tuple[str, ...], shown: str
) -> None:
    run = chat_run(tmp_path / "run", model, [asked(*turns)])
    (question,) = questions_of(run, tiny_tokenizer(), 1)
    text = question.text
    assert text == shown or (len(turns[0]) > 100 and text.endswith("then why?") and "user" not in text)
    assert "<|" not in text


def test_a_system_message_is_not_shown(tmp_path: Path, model: Path) -> None:
    row = asked("Why?")
    row["prompt"].insert(0, {"role": "system", "content": "Be brief."})
    run = chat_run(tmp_path / "run", model, [row])
    (question,) = questions_of(run, tiny_tokenizer(), 1)
    assert question.text == "Why?"
    assert "Be brief." in tiny_tokenizer().decode(question.ids)


@pytest.mark.parametrize("template", [None, "{{ raise_exception('no') }}"])
def test_prompt_that_is_no_chat_is_shown_whole(tmp_path: Path, model: Path, template: str | None) -> None:
    run = tiny_run(tmp_path / "run", model)
    tokenizer = tiny_tokenizer()
    ids = np.array(tokenizer("The sky is").input_ids, dtype=np.int32)
    with PairWriter(run.data_dir / "train.arrow") as writer:
        writer.add(Pair(np.append(ids, 5), np.append(ids, 6), len(ids), len(ids)))
    tokenizer.chat_template = template
    assert questions_of(run, tokenizer, 1)[0].text == "The sky is"


def test_pairs_that_are_gone_leave_no_questions(run: RunDir) -> None:
    for file in run.data_dir.iterdir():
        file.unlink()
    with pytest.raises(UnusableError) as caught:
        questions_of(run, tiny_tokenizer(), 1)
    assert caught.value.code == "answers.no_pairs"


def test_what_a_model_wishes_changes_no_answer_and_stays() -> None:
    model, tokenizer = tiny_llama().eval(), tiny_tokenizer()
    ids = tokenizer("Why?").input_ids
    plain = continued(model, tokenizer, ids)
    wishes = GenerationConfig(do_sample=True, temperature=5.0, repetition_penalty=3.0, max_new_tokens=3)
    model.generation_config = wishes
    assert continued(model, tokenizer, ids) == plain
    assert model.generation_config is wishes


def test_answer_ends_with_the_positions_of_the_model() -> None:
    model, tokenizer = tiny_llama().eval(), tiny_tokenizer()
    said = continued(model, tokenizer, [5] * 126)
    assert len(tokenizer(said.removesuffix("…")).input_ids) <= 6


def test_benchmark_answers_alike() -> None:
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    (said,) = before_after.answers(model, tokenizer, ["Why?"])
    chat = [{"role": "user", "content": "Why?"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert model.dtype is torch.bfloat16
    assert said == continued(model, tokenizer, ids)
