"""Layouts with several answers in an order: the best is trained against the worst."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.data.formats.format import Fields, Format
from engine.data.formats.readers import CHAT, SYSTEM, chat
from engine.data.formats.samples import HELP_STEER, NECTAR, NEMO_RL
from engine.data.formats.transcripts import is_transcript, question
from engine.data.formats.turns import asked, assistant, reply
from engine.data.rows.messages import NoPair, Preference, RowError
from engine.data.rows.shapes import NUMBER, PROMPT, RANKED_ANSWERS, RANKED_COMPLETIONS, TEXT, number


def best_and_worst(ranked: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The entries of the lowest and of the highest `rank`; of equal ones the first.

    Raises `NoPair` where all have the same rank.
    """
    ranks = [number(entry["rank"]) for entry in ranked]
    told = [rank for rank in ranks if rank is not None]
    best, worst = ranks.index(min(told)), ranks.index(max(told))
    if best == worst:
        raise NoPair("tie")
    return ranked[best], ranked[worst]


def _answers(row: Fields) -> Preference:
    best, worst = best_and_worst(row["answers"])
    prompt = question(row["prompt"]) if is_transcript(row["prompt"]) else asked(row["prompt"])
    return chat(row, prompt, [assistant(best["answer"].strip())], [assistant(worst["answer"].strip())])


def _completions(row: Fields) -> Preference:
    best, worst = best_and_worst(row["completions"])
    return chat(row, asked(row["context"]), reply(best["completion"]), reply(worst["completion"]))


def _two_responses(row: Fields) -> Preference:
    preference = number(row["overall_preference"])
    if not preference:
        raise NoPair("tie") if preference == 0 else RowError("`overall_preference` is no number")
    first, second = [assistant(row["response1"])], [assistant(row["response2"])]
    better, worse = (first, second) if preference < 0 else (second, first)
    return chat(row, asked(row["context"]), better, worse)


FORMATS = (
    Format(
        name="nectar",
        purpose="A prompt and several answers with ranks: rank 1 is trained against the last.",
        seen_in="berkeley-nest/Nectar, Axolotl (zephyr.nectar)",
        columns={"prompt": PROMPT, "answers": RANKED_ANSWERS},
        optional=SYSTEM,
        read=_answers,
        sample=NECTAR,
    ),
    Format(
        name="nemo-rl",
        purpose="A context and several completions with ranks: the lowest rank is trained against the highest.",
        seen_in="NeMo-RL",
        columns={"context": PROMPT, "completions": RANKED_COMPLETIONS},
        optional=CHAT,
        read=_completions,
        sample=NEMO_RL,
    ),
    Format(
        name="helpsteer3",
        purpose="A context, two responses, and which is better: below 0 the first, above 0 the second.",
        seen_in="nvidia/HelpSteer3",
        columns={"context": PROMPT, "response1": TEXT, "response2": TEXT},
        marks={"overall_preference": NUMBER},
        optional=CHAT,
        read=_two_responses,
        sample=HELP_STEER,
    ),
)
