"""Layouts with the question and two answers as texts, read as chats."""

from engine.data.formats.chains import NEEDED, OPTIONAL, join_chains, read_chain
from engine.data.formats.format import Fields, Format
from engine.data.formats.readers import SYSTEM, chat, has_system, instructed, instructions, prompt_and_replies
from engine.data.formats.samples import (
    ALPACA_OUTPUTS,
    ALPACA_RANKING,
    CODE_PAIRS,
    H2O,
    ORCA_PAIRS,
    PROMPT_PAIRS,
    STACK_EXCHANGE,
)
from engine.data.formats.trl import chained, dialogue
from engine.data.formats.turns import assistant
from engine.data.rows.messages import NoPair, Preference
from engine.data.rows.shapes import HISTORY, ID, TEXT, TWO_TEXTS

ANSWERS = {"chosen": TEXT, "rejected": TEXT}
INSTRUCTED = {"input": TEXT, "history": HISTORY, **SYSTEM}


def _alone(row: Fields) -> bool:
    return not chained(row)


def _with_system(row: Fields) -> bool:
    return has_system(row) and not chained(row) and not dialogue(row)


def _answers_named(row: Fields) -> bool:
    """Columns named as answers, or rows that go on from one another: else it is any question with answers."""
    return chained(row) or any(
        name in row for name in ("chosen_response", "rejected_response", "rejected_answer")
    )


def _question(row: Fields) -> Preference:
    if row.get("status") == "tie":
        raise NoPair("tie")
    return prompt_and_replies("question|input|query", "chosen", "rejected")(row)


def _outputs(row: Fields) -> Preference:
    better, worse = row["output"]
    return chat(row, instructed(row, "instruction", "input"), [assistant(better)], [assistant(worse)])


FORMATS = (
    Format(
        name="prompt-pairs",
        purpose="Prompt, both answers and a system message as text, read as a chat.",
        seen_in="Axolotl (prompt_pairs), argilla data sets",
        columns={"prompt": TEXT, **ANSWERS},
        optional=SYSTEM,
        looks=_with_system,
        read=prompt_and_replies("prompt", "chosen", "rejected"),
        sample=PROMPT_PAIRS,
    ),
    Format(
        name="question-pairs",
        purpose="Question and both answers as text, with a system message or without, read as a chat.",
        seen_in="Intel/orca_dpo_pairs, argilla/distilabel-intel-orca-dpo-pairs, Axolotl (intel, icr)",
        columns={"question|input|query": TEXT, **ANSWERS},
        optional=SYSTEM,
        looks=_alone,
        aliases=("orca-dpo-pairs", "distilabel-intel-orca", "axolotl-icr"),
        read=_question,
        sample=ORCA_PAIRS,
    ),
    Format(
        name="alpaca-ranking",
        purpose="Instruction, input and both answers as text, with earlier turns as `history`.",
        seen_in="LLaMA-Factory (alpaca), llamafactory/ultrafeedback_binarized",
        columns={"instruction": TEXT, **ANSWERS},
        optional=INSTRUCTED,
        looks=_alone,
        read=instructions("instruction", "input", "chosen", "rejected"),
        sample=ALPACA_RANKING,
    ),
    Format(
        name="alpaca-outputs",
        purpose="Instruction, input and a list of two outputs, the better one first.",
        seen_in="LLaMA-Factory (comparison_gpt4_data)",
        columns={"instruction": TEXT, "output": TWO_TEXTS},
        optional=INSTRUCTED,
        read=_outputs,
        sample=ALPACA_OUTPUTS,
    ),
    Format(
        name="code-preference-pairs",
        purpose="A task, an accepted and a rejected solution.",
        seen_in="Vezora/Code-Preference-Pairs",
        columns={"input|prompt|question": TEXT, "accepted": TEXT, "rejected": TEXT},
        optional={"instruction": TEXT, **SYSTEM},
        read=instructions("instruction", "input|prompt|question", "accepted", "rejected"),
        sample=CODE_PAIRS,
    ),
    Format(
        name="stack-exchange-paired",
        purpose="A question and two answers, the better one named response_j.",
        seen_in="lvwerra/stack-exchange-paired, torchtune",
        columns={"question": TEXT, "response_j": TEXT, "response_k": TEXT},
        optional=SYSTEM,
        read=prompt_and_replies("question", "response_j", "response_k"),
        sample=STACK_EXCHANGE,
    ),
    Format(
        name="chosen-response",
        purpose="Prompt and both responses as text; a row may go on from the one that its parent_id names.",
        seen_in="H2O LLM Studio, Axolotl (argilla)",
        columns=NEEDED,
        optional={**OPTIONAL, "parent_id": ID},
        looks=_answers_named,
        aliases=("h2o", "axolotl-argilla"),
        join=join_chains,
        read=read_chain,
        sample=H2O,
    ),
)
