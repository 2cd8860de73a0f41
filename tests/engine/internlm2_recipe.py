"""XTuner's quick start on a small InternLM2: the template as it is, its model and its pairs replaced."""

import json
import random
from pathlib import Path

from dpo_tui.templates import copy
from tests.engine.runs import WORDS

NAME = "internlm2-chat-1_8b-sft-orpo-dpo-mix-40k"


def write_orpo_rows(path: Path, count: int = 36) -> Path:
    """Rows with every column of orpo-dpo-mix-40k, some of several turns, one source of them to be left out."""
    draw = random.Random(0)
    rows = []
    for number in range(count):
        word = draw.choice(WORDS)
        question = f"{number} {word}?"
        asked = [{"role": "user", "content": question}]
        if number % 3 == 0:
            asked = [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi, what is it?"},
                *asked,
            ]
        long = " ".join(draw.choices(WORDS, k=draw.randint(2, 6)))
        rows.append(
            {
                "source": "toxic-dpo-v0.2" if number % 9 == 8 else "Airoboros",
                "chosen": [*asked, {"role": "assistant", "content": word}],
                "rejected": [*asked, {"role": "assistant", "content": long}],
                "prompt": question,
                "question": question,
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def recipe(folder: Path, model: Path, rows: Path, name: str = NAME) -> Path:
    """The template copied to `folder`; of what it says the model's and the pairs' place are changed, and lengths."""
    path = copy(name, folder)
    text = path.read_text(encoding="utf-8")
    places = {
        'source = "hub"\nid = "internlm/internlm2-chat-1_8b-sft"': f'source = "local"\nid = "{model}"',
        'source = "hub"\npath = "mlabonne/orpo-dpo-mix-40k"\nsplit = "train"': f'source = "local"\npath = "{rows}"',
        "# exclude =": "exclude =",
        "max_length = 2048": "max_length = 256",
        "max_prompt_length = 1536": "max_prompt_length = 192",
        "eval_fraction = 0.01": "eval_fraction = 0.1",
    }
    for before, after in places.items():
        assert before in text, before
        text = text.replace(before, after)
    path.write_text(f'[run]\ndir = "{folder / "runs"}"\n\n{text}', encoding="utf-8")
    return path
