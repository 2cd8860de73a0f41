"""Make templates/quickstart/pairs.jsonl: written answers as chosen, the small model's own as rejected.

    python benchmarks/quickstart_pairs.py [--questions FILE] [--pairs FILE] [--seed 0]

A question is a JSON line with `topic`, `prompt` and `chosen`. A rejected answer is drawn from
SmolLM2-135M-Instruct itself, so DPO pushes down what the model really says; an answer that is already short
teaches nothing and is drawn again, and after ATTEMPTS draws its question is left out and named on stderr.
The same questions, seed and torch build give the same file.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper

from engine.config.schema import Model
from engine.models.load import load_model, load_tokenizer

QUICKSTART = Path(__file__).parents[1] / "templates" / "quickstart"
MODEL = Model.model_validate({"source": "builtin", "id": "smollm2-135m-instruct"})

BATCH = 32
NEW_TOKENS = 90
TEMPERATURE = 0.7
TOP_K = 50
ATTEMPTS = 6
MIN_WORDS = 28
MIN_RATIO = 2.0

SENTENCE_END = re.compile(r"(?<!\d)[.!?][\"')\]]*(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with the written answer; draws before `first_draw` were read by a person and refused."""

    prompt: str
    chosen: str
    first_draw: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said; `ended` says that it stopped by itself and not at the limit."""

    text: str
    ended: bool


class RowNoise(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Turns greedy search into sampling: the argmax of logits + Gumbel noise is a draw from their softmax.

    Each row has its own generator, so an answer does not depend on which questions share its batch.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Add noise to `scores` [rows, vocabulary]."""
        size = scores.shape[-1]
        draws = [torch.empty(size).exponential_(generator=generator) for generator in self.generators]
        return scores.float() - torch.stack(draws).log()


def row_seed(seed: int, draw: int, prompt: str) -> int:
    """A seed of its own for each draw of each prompt."""
    digest = hashlib.sha256(f"{seed}:{draw}:{prompt}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


class Sampler:
    """The built-in model in bfloat16 on the CPU, answering prompts in left-padded batches."""

    def __init__(self) -> None:
        self.tokenizer: Any = load_tokenizer(MODEL)
        self.tokenizer.padding_side = "left"
        self.model: Any = load_model(MODEL).model.to(torch.bfloat16).eval()

    def answer(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Answer]:
        """One sampled answer a prompt, of at most NEW_TOKENS tokens."""
        chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
        batch = self.tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
        )
        processors = LogitsProcessorList(
            [TemperatureLogitsWarper(TEMPERATURE), TopKLogitsWarper(TOP_K), RowNoise(seeds)]
        )
        with torch.inference_mode():
            tokens = self.model.generate(
                **batch,
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                use_cache=True,  # loading turns it off, for training
                logits_processor=processors,
                pad_token_id=self.tokenizer.eos_token_id,
            )
        return [self._decode(row) for row in tokens[:, batch["input_ids"].shape[1] :]]

    def _decode(self, tokens: torch.Tensor) -> Answer:
        ended = bool((tokens == self.tokenizer.eos_token_id).any())
        return Answer(self.tokenizer.decode(tokens, skip_special_tokens=True).strip(), ended)


def whole_sentences(answer: Answer) -> str:
    """The answer up to its last sentence end, or all of it where the model ended by itself; else nothing."""
    if answer.ended:
        return answer.text
    ends = [match.end() for match in SENTENCE_END.finditer(answer.text)]
    return answer.text[: ends[-1]] if ends else ""


def rejectable(text: str, chosen: str) -> bool:
    """Whether the text rambles enough to be the rejected side, and holds nothing but printable lines."""
    words = len(text.split())
    printable = all(character.isprintable() or character == "\n" for character in text)
    return printable and "\ufffd" not in text and words >= max(MIN_WORDS, MIN_RATIO * len(chosen.split()))


def batches(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    """Consecutive slices of BATCH indices."""
    for start in range(0, len(indices), BATCH):
        yield indices[start : start + BATCH]


def draw_rejected(questions: Sequence[Question], sampler: Sampler, seed: int) -> dict[int, str]:
    """The rejected answer by index of its question; a question without a usable one is absent."""
    rejected: dict[int, str] = {}
    for draw in range(ATTEMPTS):
        due = [i for i in range(len(questions)) if i not in rejected]
        for indices in batches(due):
            prompts = [questions[i].prompt for i in indices]
            answers = sampler.answer(prompts, [row_seed(seed, draw, prompt) for prompt in prompts])
            for i, answer in zip(indices, answers, strict=True):
                text = whole_sentences(answer)
                if draw >= questions[i].first_draw and rejectable(text, questions[i].chosen):
                    rejected[i] = text
            print(f"draw {draw + 1}: {len(rejected)} of {len(questions)}", file=sys.stderr)
    return rejected


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSON Lines file, in order."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Question(row["prompt"], row["chosen"], row.get("first_draw", 0)) for row in rows]


def row(question: Question, rejected: str) -> dict[str, list[dict[str, str]]]:
    """A preference pair with an explicit prompt, as chat messages; no system message."""
    return {
        "prompt": [{"role": "user", "content": question.prompt}],
        "chosen": [{"role": "assistant", "content": question.chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


def write_pairs(path: Path, questions: Sequence[Question], rejected: dict[int, str]) -> None:
    """Write the rows, topics mixed so that the first n are a sample of all, replacing the file in one move."""
    mixed = sorted(rejected, key=lambda i: row_seed(0, 0, questions[i].prompt))
    lines = [json.dumps(row(questions[i], rejected[i]), ensure_ascii=False) for i in mixed]
    staging = path.with_suffix(".partial")
    staging.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(staging, path)


def main() -> None:
    """Read the questions, draw the rejected answers, write the pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--questions", type=Path, default=QUICKSTART / "questions.jsonl")
    parser.add_argument("--pairs", type=Path, default=QUICKSTART / "pairs.jsonl")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the order of sums, and with it the answers, must not depend on the machine
    questions = read_questions(arguments.questions)
    rejected = draw_rejected(questions, Sampler(), arguments.seed)
    for i, question in enumerate(questions):
        if i not in rejected:
            print(f"left out, no long answer in {ATTEMPTS} draws: {question.prompt}", file=sys.stderr)
    write_pairs(arguments.pairs, questions, rejected)


if __name__ == "__main__":
    main()
