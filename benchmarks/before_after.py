"""The same questions answered before and after training, side by side.

    python benchmarks/before_after.py RUN_EXPORT_DIR [--prompts FILE]

Both models answer greedily, in bfloat16 on the CPU, one model in memory at a time: first the built-in base,
then the exported folder, loaded with plain transformers as anybody would. The questions are not in the
training data. They are questions of fact; pass some of your own to see where so small a model fails, on how-tos
first.
"""

import argparse
import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

BUILTIN = "smollm2-135m-instruct"
WIDTH = 100
GAP = "   "
PROMPTS = (
    "What does a thermostat do?",
    "What is a solar system?",
    "What is the difference between a planet and a star?",
)


def built_in() -> tuple[Any, Any]:
    """Model and tokenizer before the training."""
    from engine.config.schema import Model
    from engine.models.load import load_model, load_tokenizer

    source = Model.model_validate({"source": "builtin", "id": BUILTIN})
    return load_model(source).model, load_tokenizer(source)


def exported(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer after it, with nothing of this project involved."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def answers(model: Any, tokenizer: Any, prompts: Sequence[str]) -> list[str]:
    """The most likely answer to each prompt, of a few dozen tokens; an answer cut there ends in `…`."""
    import torch

    from engine.export.answers import continued

    model.to(torch.bfloat16)
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    ids = [
        tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats
    ]
    return [continued(model, tokenizer, prompt) for prompt in ids]


def printable(text: str) -> str:
    """The text without characters that could steer a terminal; lines are kept."""
    return "".join(character for character in text if character.isprintable() or character == "\n")


def column(title: str, text: str, width: int) -> list[str]:
    """A headed column: the title with the count of words, then the text wrapped to `width`."""
    words = len(text.split())
    lines = [line for paragraph in printable(text).splitlines() for line in textwrap.wrap(paragraph, width)]
    return [f"{title} ({words} {'word' if words == 1 else 'words'})", "-" * width, *lines]


def side_by_side(before: str, after: str, width: int) -> Iterator[str]:
    """The lines of both answers in two columns that together fill `width` characters."""
    half = max(10, (width - len(GAP)) // 2)
    pairs = zip_longest(column("Before", before, half), column("After", after, half), fillvalue="")
    for left, right in pairs:
        yield f"{left:<{half}}{GAP}{right}".rstrip()


def report(prompts: Sequence[str], before: Sequence[str], after: Sequence[str], width: int) -> Iterator[str]:
    """Every question with its two answers, and the mean length of both."""
    for prompt, old, new in zip(prompts, before, after, strict=True):
        yield from textwrap.wrap(printable(prompt), width)
        yield ""
        yield from side_by_side(old, new, width)
        yield ""
    means = f"Words an answer, on average: {mean_words(before):.0f} before, {mean_words(after):.0f} after."
    yield from textwrap.wrap(means, width)


def mean_words(texts: Sequence[str]) -> float:
    """Average number of words."""
    return sum(len(text.split()) for text in texts) / len(texts)


def main() -> None:
    """Answer with both models and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("export", type=Path, metavar="RUN_EXPORT_DIR")
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="text file with one question a line, instead of the three",
    )
    arguments = parser.parse_args()
    if not (arguments.export / "config.json").is_file():
        parser.error(f"{arguments.export}: no exported model here (config.json is missing)")
    prompts: Sequence[str] = PROMPTS
    if arguments.prompts:
        lines = arguments.prompts.read_text(encoding="utf-8").splitlines()
        prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        parser.error(f"{arguments.prompts}: no questions in this file")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    before = answers(*built_in(), prompts)
    after = answers(*exported(arguments.export), prompts)
    print("\n".join(report(prompts, before, after, shutil.get_terminal_size((WIDTH, 24)).columns)))


if __name__ == "__main__":
    main()
