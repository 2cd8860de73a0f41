"""One row of each layout as its data set or tool has it: the columns are theirs, the words are ours."""

import json

QUESTION = "What colour is the sky?"
GOOD = "It is blue by day."
BAD = "Green, I think."

ASKED = {"role": "user", "content": QUESTION}
ANSWERED = {"role": "assistant", "content": GOOD}
MISTAKEN = {"role": "assistant", "content": BAD}
RIGHT = [ASKED, ANSWERED]
WRONG = [ASKED, MISTAKEN]
TEXTS = {"chosen": GOOD, "rejected": BAD}
CHATS = {"chosen": RIGHT, "rejected": WRONG}

WEATHER = {
    "name": "weather",
    "description": "The weather of a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}
OFFERED = [{"type": "function", "function": WEATHER}]
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"town": "Oslo"}}}


def _parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "value": text}]


def _weighed(turns: list[dict[str, str]]) -> list[dict[str, object]]:
    return [
        {
            "role": turn["role"],
            "content": _parts(turn["content"]),
            "loss_weight": float(turn["role"] != "user"),
        }
        for turn in turns
    ]


TRL_EXPLICIT = {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}
TRL_IMPLICIT = {"chosen": "The sky is blue.", "rejected": "The sky is green."}
TRL_CHAT = {"prompt": [ASKED], "chosen": [ANSWERED], "rejected": [MISTAKEN]}
TRL_CHAT_IMPLICIT = CHATS
TRL_UNPAIRED = {"prompt": [ASKED], "completion": [ANSWERED], "label": True}

HH_RLHF = {
    "chosen": f"\n\nHuman: {QUESTION}\n\nAssistant: {GOOD}",
    "rejected": f"\n\nHuman: {QUESTION}\n\nAssistant: {BAD}",
}
ORCA_PAIRS = {"system": "", "question": QUESTION, **TEXTS}
PROMPT_PAIRS = {"system": "You answer briefly.", "prompt": QUESTION, **TEXTS}
CODE_PAIRS = {"ID": "7", "instruction": "", "input": QUESTION, "accepted": GOOD, "rejected": BAD}
STACK_EXCHANGE = {
    "qid": 7,
    "question": QUESTION,
    "date": "2011/01/13",
    "metadata": ["https://example.org/7"],
    "response_j": GOOD,
    "response_k": BAD,
}
H2O = {
    "instruction": QUESTION,
    "chosen_response": GOOD,
    "rejected_response": BAD,
    "id": "7",
    "parent_id": None,
}
ULTRA_INTERACT = {
    "task": "Logic",
    "dataset": "ReClor",
    "trajectory": [{"from": "user", "value": QUESTION}],
    **TEXTS,
    "id": "7",
    "parent_id": "3",
}

ALPACA_RANKING = {"instruction": QUESTION, "input": "", **TEXTS}
ALPACA_OUTPUTS = {"instruction": QUESTION, "input": "", "output": [GOOD, BAD]}
ALPACA_KTO = {"instruction": QUESTION, "input": "", "output": GOOD, "kto_tag": True}
SHAREGPT_RANKING = {
    "conversations": [{"from": "human", "value": QUESTION}],
    "chosen": {"from": "gpt", "value": GOOD},
    "rejected": {"from": "gpt", "value": BAD},
}
LLAMA_FACTORY_V1 = {"chosen_messages": _weighed(RIGHT), "rejected_messages": _weighed(WRONG)}
MESSAGES_RANKING = {"messages": [ASKED], "chosen": ANSWERED, "rejected": MISTAKEN}
TORCHTUNE = {"chosen_conversations": RIGHT, "rejected_conversations": WRONG}
SWIFT_RESPONSE = {"messages": RIGHT, "rejected_response": BAD}
SWIFT_MESSAGES = {"messages": RIGHT, "rejected_messages": WRONG}
SWIFT_QUERY = {"query": QUESTION, "response": GOOD, "rejected_response": BAD, "history": []}
LABELLED_MESSAGES = {"messages": RIGHT, "label": True}
OPENAI = {
    "input": {"messages": [ASKED], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [ANSWERED],
    "non_preferred_output": [MISTAKEN],
}

NECTAR = {
    "prompt": f"\n\nHuman: {QUESTION}\n\nAssistant: ",
    "answers": [
        {"answer": GOOD, "model": "gpt-4", "rank": 1.0},
        {"answer": "Blue or grey.", "model": "gpt-3.5-turbo", "rank": 2.0},
        {"answer": BAD, "model": "llama-2-7b-chat", "rank": 3.0},
    ],
    "turns": 1,
    "num_responses": 3,
    "source": ["sharegpt"],
    "good_natured": True,
}
NEMO_RL = {
    "context": [ASKED],
    "completions": [{"rank": 0, "completion": [ANSWERED]}, {"rank": 1, "completion": [MISTAKEN]}],
    "task_name": "colours",
}
HELP_STEER = {
    "domain": "general",
    "language": "english",
    "context": [ASKED],
    "response1": BAD,
    "response2": GOOD,
    "overall_preference": 2,
    "individual_preference": [{"score": 2, "reasoning": "The sky is blue.", "feedback_id": "a"}],
}
VISION = {
    "images": ["sky.png"],
    "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}],
    "chosen": [ANSWERED],
    "rejected": [MISTAKEN],
}
TOOLS_AS_TEXT = json.dumps([WEATHER])
