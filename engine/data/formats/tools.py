"""Tools a conversation may use, their calls, and what a row hands to the chat template besides."""

import json
from collections.abc import Mapping
from typing import Any

from engine.data.rows.messages import NOTHING_MORE, RowError
from engine.data.rows.shapes import empty, kind

DEEPEST = 100
"""Levels of lists and objects within a call or a tool: more is no tool, and costs the stack."""

OURS = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "max_length",
        "messages",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "tokenize",
        "tokenizer_kwargs",
        "tools",
        "truncation",
    }
)
"""What rendering a template is told by the program, so that no row may say it."""


def tool_calls(value: Any) -> list[dict[str, Any]]:
    """The calls of a turn, each as {"type": "function", "function": {"name", "arguments": object}}."""
    calls = _decoded(value, "tool_calls") if isinstance(value, str) else value
    if not isinstance(calls, list):
        raise RowError(f"`tool_calls` is {kind(calls)}: expected a list")
    return [_call(call) for call in calls]


def called(text: str) -> list[dict[str, Any]]:
    """The calls in the content of a turn that is nothing else: the JSON text of one or of several."""
    value = _decoded(text, "the content of a tool call")
    return [_call(call) for call in (value if isinstance(value, list) else [value])]


def _call(value: Any) -> dict[str, Any]:
    function = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RowError('the call of a tool has no name: expected {"name": text, "arguments": object}')
    given = function.get("arguments")
    arguments = (
        _decoded(given or "{}", "the text of a call's arguments") if isinstance(given, str) else plain(given)
    )
    if not isinstance(arguments, dict | None):
        name, found = function["name"], kind(arguments)
        raise RowError(f"the arguments of the call of `{name}` are {found}: expected an object")
    call = {"type": "function", "function": {"name": function["name"], "arguments": arguments or {}}}
    return {"id": value["id"], **call} if isinstance(value.get("id"), str) else call


def _decoded(text: str, what: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{what} is no valid JSON text: {error}") from error
    return plain(value, keep_nulls=True)


def plain(value: Any, keep_nulls: bool = False, depth: int = 0) -> Any:
    """A value of JSON, without the nulls that tables put where a row lacks a key that another row has."""
    if depth > DEEPEST:
        raise RowError(f"a tool or its call is nested more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        items = ((str(key), item) for key, item in value.items() if keep_nulls or item is not None)
        return {key: plain(item, keep_nulls, depth + 1) for key, item in items}
    if isinstance(value, list):
        return [plain(item, keep_nulls, depth + 1) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise RowError(f"a tool or its call holds a {type(value).__name__}: expected values of JSON")


def tools(value: Any) -> list[dict[str, Any]] | None:
    """The tools of a row, as the JSON schemas that chat templates take; None when there are none."""
    if empty(value):
        return None
    listed = _decoded(value, "`tools`") if isinstance(value, str) else value
    found = [_tool(entry) for entry in (listed if isinstance(listed, list) else [listed])]
    return found or None


def _tool(value: Any) -> dict[str, Any]:
    tool = _decoded(value, "one of the `tools`") if isinstance(value, str) else plain(value)
    if not isinstance(tool, dict) or not tool:
        raise RowError(f"one of the `tools` is {kind(tool)}: expected an object that describes a function")
    bare = "name" in tool and "function" not in tool and tool.get("type", "function") == "function"
    if not bare:
        return tool
    described = {key: entry for key, entry in tool.items() if key != "type"}
    return {"type": "function", "function": described}


def template_kwargs(value: Any) -> Mapping[str, Any]:
    """What a row hands to the chat template besides its messages, such as whether to think."""
    if empty(value):
        return NOTHING_MORE
    what = "`chat_template_kwargs`"
    given = _decoded(value, what) if isinstance(value, str) else plain(value)
    if not isinstance(given, dict):
        raise RowError(f"{what} is {kind(given)}: expected an object")
    taken = sorted(OURS & given.keys())
    if taken:
        raise RowError(f"{what} names `{taken[0]}`, which is decided for all rows alike: remove it")
    return given
