"""Questions to compare answers to: the shortest prompts among the run's own pairs, as the policy saw them."""

from collections.abc import Iterator
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from engine.data.prepared.pairs import PairStore
from engine.data.prepared.prepared_set import EVAL, TRAIN
from engine.exits import UnusableError
from engine.rundir.paths import RunDir

LOOKED_AT = 64
"""Distinct prompts among which the shortest are taken: short ones are quick to answer and to read."""

MARK = "\ufdd0question\ufdd0"
ANSWER = "\ufdd0answer\ufdd0"
"""Noncharacters on both sides: no template writes them by itself."""


@dataclass(frozen=True, slots=True)
class Question:
    """ids: the prompt, special tokens and all. text: what the person in it says last."""

    ids: list[int]
    text: str


def questions_of(run: RunDir, tokenizer: PreTrainedTokenizerBase, count: int) -> list[Question]:
    """Up to `count` questions, of the held-out pairs if there are any. Raises UnusableError where no pair is left."""
    prompts = sorted(_first_prompts(run), key=len)[:count]
    reader = _Reader(tokenizer)
    return [Question(list(ids), reader.question(ids)) for ids in prompts]


def _first_prompts(run: RunDir) -> list[tuple[int, ...]]:
    found: dict[tuple[int, ...], None] = {}
    for store in _stores(run):
        for index in range(len(store)):
            pair = store[index]
            found.setdefault(tuple(pair.chosen[: pair.chosen_start].tolist()))
            if len(found) == LOOKED_AT:
                break
        if found:
            return list(found)
    text = f"{run.name} has no prepared pairs any more: its questions are not known."
    raise UnusableError("answers.no_pairs", text, run=run.name)


def _stores(run: RunDir) -> Iterator[PairStore]:
    """The run's pairs that can be read, those held out first."""
    for name in (EVAL, TRAIN):
        try:
            yield PairStore.open(run.data_dir / name)
        except UnusableError:
            continue


class _Reader:
    """Finds what is asked in a prompt, between what the chat template writes before and after it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._before, self._after = _frame(tokenizer)
        special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        self._special = sorted(special, key=len, reverse=True)

    def question(self, ids: tuple[int, ...]) -> str:
        """The last message of the user; all of the prompt where it is no chat of this template."""
        text = str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
        if self._after and text.endswith(self._after):
            text = text.removesuffix(self._after)
            text = text.rpartition(self._before)[2] if self._before else text
        for token in self._special:
            text = text.replace(token, "")
        return text.strip()


def _frame(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """What stands before and after a user's message: alike in a first and in a later turn; "" where unknown."""
    asked = {"role": "user", "content": MARK}
    earlier = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    if not tokenizer.chat_template:
        return "", ""
    try:
        first, later = (
            str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
            for turns in ([asked], [*earlier, asked])
        )
    except Exception:  # templates are programs of their authors
        return "", ""
    (before, _, after), between = first.partition(MARK), later.partition(MARK)[0].rpartition(ANSWER)[2]
    return _common_end(before, between), after


def _common_end(first: str, second: str) -> str:
    size = 0
    while size < min(len(first), len(second)) and first[-1 - size] == second[-1 - size]:
        size += 1
    return first[len(first) - size :]
