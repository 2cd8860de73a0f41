"""The layouts of TRL, which most tools and data sets have taken over."""

from engine.data.formats.format import Fields, Format
from engine.data.formats.guess import question
from engine.data.formats.readers import (
    CHAT,
    SYSTEM,
    divided,
    has_system,
    prompt_and_replies,
    two_conversations,
)
from engine.data.formats.samples import (
    HH_RLHF,
    TRL_CHAT,
    TRL_CHAT_IMPLICIT,
    TRL_EXPLICIT,
    TRL_IMPLICIT,
)
from engine.data.formats.transcripts import is_transcript, turns
from engine.data.formats.turns import speaker
from engine.data.rows.messages import NoPair, Preference, TextPreference, split_texts
from engine.data.rows.parting import differing
from engine.data.rows.shapes import CONVERSATION, MESSAGES, REPLY, TEXT, empty


def chained(row: Fields) -> bool:
    """Whether a row may go on from another one, which `parent_id` names by its `id`."""
    return "id" in row and "parent_id" in row


def _plain_text(row: Fields) -> bool:
    """Text that is trained as it stands: a system message, a dialogue or a chain of rows makes it a chat."""
    return not dialogue(row) and not has_system(row) and not chained(row)


def _two_wholes(row: Fields) -> bool:
    """Whether both texts begin with the same prompt, and no other column may be the question to them."""
    return (
        _plain_text(row)
        and question(row) is None
        and not empty(split_texts(row["chosen"], row["rejected"]).prompt)
    )


def dialogue(row: Fields) -> bool:
    """Whether a row's texts are turns of a dialogue, each named by its speaker."""
    return any(is_transcript(row.get(name)) for name in ("prompt", "chosen"))


def _explicit(row: Fields) -> Preference:
    return TextPreference(row["prompt"], row["chosen"], row["rejected"])


def _implicit(row: Fields) -> TextPreference:
    found = split_texts(row["chosen"], row["rejected"])
    if (
        not found.prompt
        and not any(map(empty, (found.chosen, found.rejected)))
        and found.chosen != found.rejected
    ):
        raise NoPair("histories_differ", differing(found.chosen, found.rejected))
    return found


def _turns(row: Fields) -> Preference:
    prompt = row.get("prompt") or ""
    begun = any(is_transcript(row[side]) for side in ("chosen", "rejected"))
    chosen, rejected = (turns(row[side] if begun else prompt + row[side]) for side in ("chosen", "rejected"))
    return divided(row, chosen, rejected)


def _whole(row: Fields) -> bool:
    """Whether `chosen` holds the whole conversation, and `messages` beside it only repeat one."""
    return empty(row.get("messages")) or not answers_only(row)


def answers_only(row: Fields) -> bool:
    """Whether `chosen` begins with an answer, so that the question is elsewhere."""
    chosen = row["chosen"]
    first = chosen[0] if isinstance(chosen, list) and chosen else chosen
    if not isinstance(first, dict):
        return True
    return speaker(first) not in {"system", "user"}


FORMATS = (
    Format(
        name="trl-explicit",
        purpose="Prompt and both completions as plain text, trained as it stands.",
        seen_in="TRL, OpenRLHF, NeMo-RL",
        columns={"prompt": TEXT, "chosen": TEXT, "rejected": TEXT},
        repeats=frozenset({"parent_id"}),
        looks=_plain_text,
        read=_explicit,
        sample=TRL_EXPLICIT,
    ),
    Format(
        name="trl-implicit",
        purpose="Two whole texts; the prompt is what they begin with in common.",
        seen_in="TRL",
        columns={"chosen": TEXT, "rejected": TEXT},
        looks=_two_wholes,
        read=_implicit,
        sample=TRL_IMPLICIT,
    ),
    Format(
        name="hh-rlhf",
        purpose="Two dialogues as text, each turn begun by Human: or Assistant:, read as a chat.",
        seen_in="Anthropic/hh-rlhf, Dahoas/full-hh-rlhf",
        columns={"chosen": TEXT, "rejected": TEXT},
        optional={"prompt": TEXT, **SYSTEM},
        repeats=frozenset({"response"}),
        looks=dialogue,
        read=_turns,
        sample=HH_RLHF,
    ),
    Format(
        name="trl-conversational",
        purpose="Prompt and both completions as chat messages.",
        seen_in="TRL, XTuner (its POLAR rows too: the reference is for reward models), trl-lib data sets",
        columns={"prompt": MESSAGES, "chosen": REPLY, "rejected": REPLY},
        optional=CHAT,
        useless=frozenset({"reference", "wrapper"}),
        aliases=("xtuner", "polar", "trl-tools"),
        read=prompt_and_replies("prompt", "chosen", "rejected"),
        sample=TRL_CHAT,
    ),
    Format(
        name="trl-conversational-implicit",
        purpose="Two whole conversations, which may repeat their question as text beside them.",
        seen_in="mlabonne/orpo-dpo-mix-40k, HuggingFaceH4/ultrafeedback_binarized, Tulu 3, Capybara, OpenRLHF",
        columns={"chosen": CONVERSATION, "rejected": CONVERSATION},
        optional={"prompt": TEXT, "question": TEXT, **CHAT},
        repeats=frozenset({"messages", "conversation"}),
        looks=_whole,
        aliases=(
            "orpo-dpo-mix-40k",
            "ultrafeedback-binarized",
            "tulu-3",
            "capybara",
            "openrlhf",
            "axolotl-ultra",
        ),
        read=two_conversations("chosen", "rejected"),
        sample=TRL_CHAT_IMPLICIT,
    ),
)
