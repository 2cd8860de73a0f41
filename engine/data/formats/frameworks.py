"""Layouts of training programs and of services: conversations in columns of their own names."""

from engine.data.formats.format import Fields, Format, pick
from engine.data.formats.readers import (
    CHAT,
    SYSTEM,
    chat,
    divided,
    instructed,
    last_answer,
    prompt_and_replies,
    two_conversations,
)
from engine.data.formats.samples import (
    LLAMA_FACTORY_V1,
    MESSAGES_RANKING,
    OPENAI,
    SHAREGPT_RANKING,
    SWIFT_MESSAGES,
    SWIFT_QUERY,
    SWIFT_RESPONSE,
    TORCHTUNE,
    ULTRA_INTERACT,
)
from engine.data.formats.tools import tools
from engine.data.formats.trl import answers_only
from engine.data.formats.turns import assistant, conversation, reply
from engine.data.rows.messages import ChatPreference, Preference, RowError
from engine.data.rows.shapes import CONVERSATION, HISTORY, MESSAGES, REPLY, TASK, TEXT, TOOLS


def _rejected_response(row: Fields) -> Preference:
    prompt, chosen = last_answer(row["messages"])
    return chat(row, prompt, chosen, reply(row["rejected_response"]))


def _rejected_messages(row: Fields) -> Preference:
    offered = tools(row.get("rejected_tools"))
    if offered is not None and offered != tools(row.get("tools")):
        raise RowError("`rejected_tools` differ from `tools`: expected both sides to be offered the same")
    return divided(row, conversation(row["messages"]), conversation(row["rejected_messages"]))


def _rejected_query(row: Fields) -> Preference:
    answer = assistant(pick(row, "response|output"))
    prompt = instructed(row, "query|instruction", "input")
    return chat(row, prompt, [answer], reply(row["rejected_response"]))


def _openai(row: Fields) -> Preference:
    task = row["input"]
    asked, offered = (task["messages"], task.get("tools")) if isinstance(task, dict) else (task, None)
    chosen, rejected = (reply(row[column]) for column in ("preferred_output", "non_preferred_output"))
    return ChatPreference(conversation(asked), chosen, rejected, tools(offered))


FORMATS = (
    Format(
        name="sharegpt-ranking",
        purpose="A conversation up to the question, and two answers to it, with from and value.",
        seen_in="LLaMA-Factory (sharegpt), llamafactory/DPO-En-Zh-20k, m-a-p/COIG-P",
        columns={"conversations": MESSAGES, "chosen": REPLY, "rejected": REPLY},
        optional=CHAT,
        read=prompt_and_replies("conversations", "chosen", "rejected"),
        sample=SHAREGPT_RANKING,
    ),
    Format(
        name="messages-ranking",
        purpose="A conversation up to the question, and two answers to it, with role and content.",
        seen_in="Axolotl (chat_template.default)",
        columns={"messages": MESSAGES, "chosen": REPLY, "rejected": REPLY},
        optional=CHAT,
        repeats=frozenset({"prompt", "question"}),
        looks=answers_only,
        aliases=("axolotl-chat-template",),
        read=prompt_and_replies("messages", "chosen", "rejected"),
        sample=MESSAGES_RANKING,
    ),
    Format(
        name="ultra-interact",
        purpose="The turns of a solution so far, and two texts to go on with.",
        seen_in="openbmb/UltraInteract_pair",
        columns={"trajectory": MESSAGES, "chosen": TEXT, "rejected": TEXT},
        optional=SYSTEM,
        repeats=frozenset({"parent_id"}),
        read=prompt_and_replies("trajectory", "chosen", "rejected"),
        sample=ULTRA_INTERACT,
    ),
    Format(
        name="llama-factory-v1",
        purpose="Two whole conversations as chosen_messages and rejected_messages.",
        seen_in="LLaMA-Factory v1 (v1_dpo_demo)",
        columns={"chosen_messages": MESSAGES, "rejected_messages": MESSAGES},
        optional={"prompt": TEXT, "question": TEXT, **CHAT},
        read=two_conversations("chosen_messages", "rejected_messages"),
        sample=LLAMA_FACTORY_V1,
    ),
    Format(
        name="torchtune",
        purpose="Two whole conversations as chosen_conversations and rejected_conversations.",
        seen_in="torchtune",
        columns={"chosen_conversations": CONVERSATION, "rejected_conversations": CONVERSATION},
        optional={"prompt": TEXT, "question": TEXT, **CHAT},
        read=two_conversations("chosen_conversations", "rejected_conversations"),
        sample=TORCHTUNE,
    ),
    Format(
        name="swift",
        purpose="A whole conversation, and another answer to its last question as rejected_response.",
        seen_in="ms-swift",
        columns={"messages": MESSAGES, "rejected_response": REPLY},
        optional=CHAT,
        aliases=("ms-swift",),
        read=_rejected_response,
        sample=SWIFT_RESPONSE,
    ),
    Format(
        name="swift-messages",
        purpose="Two whole conversations as messages and rejected_messages.",
        seen_in="ms-swift",
        columns={"messages": MESSAGES, "rejected_messages": MESSAGES},
        optional={**CHAT, "rejected_tools": TOOLS},
        read=_rejected_messages,
        sample=SWIFT_MESSAGES,
    ),
    Format(
        name="swift-query",
        purpose="Question, answer and rejected_response as text, with earlier turns as `history`.",
        seen_in="ms-swift (query and response, or alpaca)",
        columns={"query|instruction": TEXT, "response|output": TEXT, "rejected_response": REPLY},
        optional={"input": TEXT, "history": HISTORY, **SYSTEM},
        read=_rejected_query,
        sample=SWIFT_QUERY,
    ),
    Format(
        name="openai",
        purpose="A task with messages and tools, a preferred and a non-preferred output.",
        seen_in="OpenAI and Azure preference fine-tuning",
        columns={"input": TASK, "preferred_output": CONVERSATION, "non_preferred_output": CONVERSATION},
        aliases=("azure",),
        read=_openai,
        sample=OPENAI,
    ),
)
