"""The preference layouts found in the wild, each with a row as it is found and the format that reads it."""

from dataclasses import dataclass

from engine.data.formats import samples as of
from engine.data.formats.format import Fields
from engine.data.formats.samples import ANSWERED, ASKED, BAD, CALL, CHATS, GOOD, MISTAKEN, QUESTION, TEXTS


@dataclass(frozen=True, slots=True)
class Entry:
    """found: the data set or tool. sample: a row of it. format: the name of the format that reads it."""

    found: str
    format: str
    sample: Fields


ORPO_MIX = {"source": "Airoboros", **CHATS, "prompt": QUESTION, "question": QUESTION}
ULTRA_FEEDBACK = {
    "prompt": QUESTION,
    "prompt_id": "f0e37e9f7800261167ce91143f98f511f768847236f133f2d0aed60b444ebe57",
    **CHATS,
    "messages": [ASKED, ANSWERED],
    "score_chosen": 8.5,
    "score_rejected": 3.0,
}
CAPYBARA = {
    "source": "Airoboros",
    "conversation": [{"input": QUESTION, "output": GOOD}],
    "original_response": GOOD,
    "generation_prompt": [f"### User:\n{QUESTION}"],
    "raw_generation_responses": [BAD],
    "new_generations": [BAD],
    "prompt": QUESTION,
    **CHATS,
    "rating_chosen": 5,
    "rating_rejected": 1,
    "chosen_model": "capybara",
    "rejected_model": "notus7b",
}
DISTILABEL_ORCA = {
    "system": "",
    "input": QUESTION,
    **TEXTS,
    "generations": [GOOD, BAD],
    "order": ["chosen", "rejected"],
    "labelling_model": "gpt-4-1106-preview",
    "labelling_prompt": [{"role": "user", "content": "Which answer is better?"}],
    "raw_labelling_response": "9 2",
    "rating": [9.0, 2.0],
    "rationale": "The sky is blue.",
    "status": "unchanged",
    "original_chosen": GOOD,
    "original_rejected": BAD,
    "chosen_score": 9.0,
    "in_gsm8k_train": False,
}
TULU = {"id": "wildchat_7", "prompt": QUESTION, **CHATS, "source": "ai2-adapt-dev/wildchat"}
OPENRLHF = {**CHATS, "chosen_score": 0.9, "rejected_score": 0.1, "margin": 0.8}
WITH_TOOLS = {
    "tools": of.OFFERED,
    "prompt": [{"role": "user", "content": "How is the weather in Oslo?"}],
    "chosen": [{"role": "assistant", "content": None, "tool_calls": [CALL]}],
    "rejected": [MISTAKEN],
    "chat_template_kwargs": {"enable_thinking": False},
}
POLAR = {**of.TRL_CHAT, "reference": [ANSWERED], "wrapper": "sft"}
AXOLOTL_ARGILLA = {"system": "", "instruction": QUESTION, "chosen_response": GOOD, "rejected_response": BAD}

CATALOGUE: dict[int, Entry] = {
    1: Entry("TRL, text with a prompt", "trl-explicit", of.TRL_EXPLICIT),
    2: Entry("TRL, text without a prompt", "trl-implicit", of.TRL_IMPLICIT),
    3: Entry("TRL, chat with a prompt", "trl-conversational", of.TRL_CHAT),
    4: Entry("TRL, chat without a prompt", "trl-conversational-implicit", of.TRL_CHAT_IMPLICIT),
    5: Entry("TRL and ms-swift, with tools", "trl-conversational", WITH_TOOLS),
    6: Entry("TRL, with images (refused)", "vision", of.VISION),
    7: Entry("mlabonne/orpo-dpo-mix-40k", "trl-conversational-implicit", ORPO_MIX),
    8: Entry("HuggingFaceH4/ultrafeedback_binarized", "trl-conversational-implicit", ULTRA_FEEDBACK),
    9: Entry("Anthropic/hh-rlhf", "hh-rlhf", of.HH_RLHF),
    10: Entry("Intel/orca_dpo_pairs", "question-pairs", of.ORCA_PAIRS),
    11: Entry("openbmb/UltraInteract_pair", "ultra-interact", of.ULTRA_INTERACT),
    12: Entry("XTuner", "trl-conversational", of.TRL_CHAT),
    13: Entry("XTuner POLAR", "trl-conversational", POLAR),
    14: Entry("LLaMA-Factory, alpaca ranking", "alpaca-ranking", of.ALPACA_RANKING),
    15: Entry("LLaMA-Factory, sharegpt ranking", "sharegpt-ranking", of.SHAREGPT_RANKING),
    16: Entry("LLaMA-Factory v1", "llama-factory-v1", of.LLAMA_FACTORY_V1),
    17: Entry("ms-swift", "swift", of.SWIFT_RESPONSE),
    18: Entry("OpenAI and Azure preference fine-tuning", "openai", of.OPENAI),
    19: Entry("NeMo-RL", "nemo-rl", of.NEMO_RL),
    20: Entry("Axolotl, argilla", "chosen-response", AXOLOTL_ARGILLA),
    21: Entry("Axolotl, prompt_pairs", "prompt-pairs", of.PROMPT_PAIRS),
    22: Entry("berkeley-nest/Nectar", "nectar", of.NECTAR),
    23: Entry("Axolotl, chat_template.default", "messages-ranking", of.MESSAGES_RANKING),
    24: Entry("H2O LLM Studio", "chosen-response", of.H2O),
    25: Entry("argilla/distilabel-capybara-dpo-7k-binarized", "trl-conversational-implicit", CAPYBARA),
    26: Entry("Vezora/Code-Preference-Pairs", "code-preference-pairs", of.CODE_PAIRS),
    27: Entry("torchtune", "torchtune", of.TORCHTUNE),
    28: Entry("allenai/llama-3.1-tulu-3-8b-preference-mixture", "trl-conversational-implicit", TULU),
    29: Entry("TRL, one completion a row with a label", "trl-unpaired", of.TRL_UNPAIRED),
    30: Entry("OpenRLHF", "trl-conversational-implicit", OPENRLHF),
}
"""By the number of the layout in the project's survey."""

VARIANTS = (
    Entry("argilla/distilabel-intel-orca-dpo-pairs", "question-pairs", DISTILABEL_ORCA),
    Entry("Axolotl, icr", "question-pairs", {"system": "Be brief.", "input": QUESTION, **TEXTS}),
    Entry("Axolotl, ultra", "trl-conversational-implicit", {"system": "", "prompt": QUESTION, **CHATS}),
    Entry(
        "argilla/ultrafeedback-binarized-preferences-cleaned",
        "trl-conversational-implicit",
        {
            "source": "evol_instruct",
            "prompt": QUESTION,
            **CHATS,
            "chosen-rating": 5.0,
            "chosen-model": "gpt-4",
            "rejected-rating": 3.0,
            "rejected-model": "llama-2-7b-chat",
        },
    ),
    Entry(
        "Dahoas/full-hh-rlhf",
        "hh-rlhf",
        {
            "prompt": f"\n\nHuman: {QUESTION}\n\nAssistant:",
            "response": GOOD,
            "chosen": f" {GOOD}",
            "rejected": f" {BAD}",
        },
    ),
    Entry("ms-swift, rejected_messages", "swift-messages", of.SWIFT_MESSAGES),
    Entry("ms-swift, query and response", "swift-query", of.SWIFT_QUERY),
    Entry("ms-swift, KTO", "labelled-messages", of.LABELLED_MESSAGES),
    Entry(
        "LLaMA-Factory, sharegpt with kto_tag",
        "labelled-messages",
        {
            "conversations": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": GOOD}],
            "kto_tag": True,
        },
    ),
    Entry("LLaMA-Factory, alpaca with kto_tag", "alpaca-kto", of.ALPACA_KTO),
    Entry(
        "Axolotl, KTO",
        "alpaca-kto",
        {"system": "Be brief.", "question": QUESTION, "completion": GOOD, "label": True},
    ),
    Entry(
        "ms-swift, KTO with query and response",
        "alpaca-kto",
        {"query": QUESTION, "response": GOOD, "label": False},
    ),
    Entry("LLaMA-Factory, comparison_gpt4_data", "alpaca-outputs", of.ALPACA_OUTPUTS),
    Entry("NeMo-RL, binary", "trl-explicit", of.TRL_EXPLICIT),
    Entry("lvwerra/stack-exchange-paired", "stack-exchange-paired", of.STACK_EXCHANGE),
    Entry("nvidia/HelpSteer3", "helpsteer3", of.HELP_STEER),
)
"""Further rows of the same tools and data sets, and of others like them."""
