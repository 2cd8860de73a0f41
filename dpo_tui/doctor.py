"""`dpo-tui doctor`: what is here and what is wrong, each with what to do. The engine looks, this says it in words."""

import json as json_module
from collections.abc import Iterator
from typing import Any

from dpo_tui.display import say
from dpo_tui.engine_answer import NoAnswerError, ask
from dpo_tui.quantities import size
from dpo_tui.text import has, t
from engine.exits import Exit
from engine.sanitize import one_line

PATIENCE = 300.0
"""Seconds the engine has to look at everything: it compiles something to know whether it can."""
SIGNS = {"ok": "✓", "note": "·", "warn": "!", "bad": "✗"}
SIZES = ("memory", "total", "free")
"""Params that are bytes."""

Finding = dict[str, Any]


def examine(*, json: bool) -> Exit:
    """Print all findings; the exit code says whether anything is bad."""
    found = [worded(finding) for finding in (*_machine(), _hub())]
    if json:
        say(json_module.dumps(found))
    else:
        say("\n".join(line for finding in found for line in lines(finding)))
    bad = any(finding["verdict"] == "bad" for finding in found)
    return Exit.ENVIRONMENT if bad else Exit.DONE


def worded(finding: Finding) -> Finding:
    """A finding with its sentence and, where something is to be done, with what."""
    key = f"doctor.{finding['name']}.{finding['verdict']}"
    params = {name: size(value) if name in SIZES else value for name, value in finding["params"].items()}
    text = one_line(t(key, **params)) if has(key) else key
    advice = t(f"{key}.do", **params) if has(f"{key}.do") else None
    return {**finding, "text": text, "advice": advice}


def lines(finding: Finding) -> Iterator[str]:
    """The lines of a finding."""
    yield f"{SIGNS[finding['verdict']]} {finding['text']}"
    if finding["advice"]:
        yield f"    {finding['advice']}"


def _machine() -> list[Finding]:
    """What the engine finds; where it cannot even look, that is the finding."""
    try:
        found: list[Finding] = ask("doctor", patience=PATIENCE)
    except NoAnswerError as error:
        return [{"name": "engine", "verdict": "bad", "params": {"why": str(error)}}]
    return found


def _hub() -> Finding:
    """Whether this machine is logged in; the token is never shown."""
    from dpo_tui.hub.login import login

    found = login()
    verdict = {"ok": "ok", "refused": "warn"}.get(found.standing, "note")
    name = "hub" if verdict != "note" else f"hub_{found.standing}"
    return {"name": name, "verdict": verdict, "params": {"name": found.name} if found.name else {}}
