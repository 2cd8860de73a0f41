"""What the engine says, in the language spoken: its own English sentence, or the catalogue's for its code.

Params come from run directories of any age and origin: where they lack what a sentence needs, the English stands.
A param `case` picks the sentence `code.<code>.<case>` where one code has several; a param whose value is one of
our own few words, like `action`, has that word in the catalogue as `code.word.<param>.<value>`.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dpo_tui.text import catalogue, language
from engine.exits import EngineError

if TYPE_CHECKING:
    from engine.config.problems import Fault, Problem

_MOST_LISTED = 20
_ALTERNATIVES = ("expected", "homes")
"""Params whose entries exclude each other."""

_NO_PARAMS: Mapping[str, Any] = {}


def explain(code: str, text: str, params: Mapping[str, Any]) -> str:
    """An error, a warning or a reason in the language spoken; `text` is its English sentence."""
    if code == "config.invalid" and (lines := list(_problems(params))):
        return "\n".join(lines)
    said = _said(f"code.{code}", params)
    return text if said is None else said


def error_text(error: EngineError) -> str:
    """An error in the language spoken."""
    return explain(error.code, error.text, error.params)


def advice(code: str, params: Mapping[str, Any] = _NO_PARAMS) -> str:
    """What the code means and what to do about it, in plain words; empty where there is nothing to add."""
    return _said(f"advice.{code}", params) or ""


def fault_text(fault: "Fault") -> str:
    """What is wrong with a value of the config."""
    return _fault(fault.code, fault.text, fault.params)


def problem_text(problem: "Problem") -> str:
    """What is to be corrected in a config, without its place."""
    return _fault(problem.code, problem.text, problem.params)


def _problems(params: Mapping[str, Any]) -> Iterator[str]:
    """A line for each problem of a config; nothing unless all of them can be told in the language spoken."""
    if language() == "en":
        return
    problems = params.get("problems")
    for problem in problems if isinstance(problems, list) else ():
        if not isinstance(problem, Mapping):
            return
        inner = problem.get("params")
        text = _fault(problem.get("code"), problem.get("text"), inner if isinstance(inner, Mapping) else {})
        yield ": ".join(str(part) for part in (problem.get("where"), problem.get("key"), text) if part)
    if isinstance(problems, list) and isinstance(params.get("count"), int):
        more = params["count"] - len(problems)
        if more > 0:
            yield _said("fault.more", {"count": more}) or ""


def _fault(code: Any, text: Any, params: Mapping[str, Any]) -> str:
    said = _said(f"fault.{code}", _with_help(params)) if code else None
    return str(text) if said is None else said


def _with_help(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the help line of the field that the fault is about, where it names one."""
    if "field" not in params or language() == "en":
        return params
    from dpo_tui.text.fields import field_help

    return {**params, "help": field_help(str(params["field"]))}


def _said(key: str, params: Mapping[str, Any]) -> str | None:
    """The catalogue's text with `params` filled in; None where it has none, or they do not fit it."""
    texts = catalogue(language())
    text = texts.get(f"{key}.{params.get('case')}", texts.get(key))
    if text is None:
        return None
    try:
        return text.format_map(
            {name: _word(name, value) for name, value in params.items() if value is not None}
        )
    except (LookupError, ValueError, TypeError, AttributeError):
        return None


def _word(name: str, value: Any) -> Any:
    """A param as it stands in a sentence; a mapping is what a data report counts by reason."""
    if isinstance(value, Mapping):
        reasons = catalogue(language())
        return "；".join(
            f"{reasons.get(f'report.{name}.{key}', key)} × {count}" for key, count in value.items()
        )
    if isinstance(value, list | tuple):
        return _listed(name, [str(_word(name, entry)) for entry in value])
    if isinstance(value, str):
        return catalogue(language()).get(f"code.word.{name}.{value}", value)
    return value


def _listed(name: str, entries: list[str]) -> str:
    """Entries in a row; the last of alternatives comes after an "or"."""
    zh = language() == "zh"
    if name in _ALTERNATIVES and len(entries) > 1:
        *first, last = entries
        return f"{_listed('', first)}{' 或 ' if zh else ' or '}{last}"
    more = ["…"] if len(entries) > _MOST_LISTED else []
    return ("、" if zh else ", ").join([*entries[:_MOST_LISTED], *more])
