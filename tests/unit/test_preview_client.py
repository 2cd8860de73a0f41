"""The wizard's client of the helper process, against scripts that play it, and once against the engine's own."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpo_tui.preview import PreviewClient, PreviewError, Superseded
from engine.process import is_alive

ANSWERING = """
import json, sys, os, time
def say(**what):
    print(json.dumps(what), flush=True)
say(ready=True)
for line in sys.stdin:
    asked = json.loads(line)
    id, ask = asked["id"], asked["ask"]
"""

ECHO = 'say(id=id, answer={"ask": ask, "pid": os.getpid(), "value": asked.get("value")})'

Script = Callable[[str], PreviewClient]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A client of a process that does `body` with each question."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def made(body: str) -> PreviewClient:
        path = tmp_path / "preview.py"
        path.write_text(ANSWERING + "\n".join("    " + line for line in body.splitlines()))
        return PreviewClient(lambda: [sys.executable, "-I", str(path)])

    return made


async def refusal(client: PreviewClient, kind: str = "model", **asked: Any) -> PreviewError:
    """What is said instead of an answer."""
    with pytest.raises(PreviewError) as caught:
        await client.ask(kind, **asked)
    return caught.value


async def test_an_answer_comes_to_who_asked(script: Script) -> None:
    client = script(ECHO)
    answers = await asyncio.gather(client.ask("model", value=1), client.ask("data", value="[/é"))
    assert [(answer["ask"], answer["value"]) for answer in answers] == [("model", 1), ("data", "[/é")]
    await client.close()


async def test_progress_is_told_before_the_answer(script: Script) -> None:
    told: list[tuple[int, int | None]] = []
    client = script(
        'say(id=id, progress={"done": 5, "total": None})\nsay(id=id, progress={"done": 9, "total": 9})\n'
        + ECHO
    )
    await client.ask("data", lambda done, total: told.append((done, total)))
    assert told == [(5, None), (9, 9)]
    await client.close()


async def test_an_error_carries_its_code_and_params(script: Script) -> None:
    client = script(
        'say(id=id, error={"exit": 3, "code": "data.x", "text": "no", "params": {"place": "a:3"}})'
    )
    error = await refusal(client, "data")
    assert (error.code, error.text, error.params) == ("data.x", "no", {"place": "a:3"})
    await client.close()


async def test_a_newer_question_of_the_same_kind_takes_the_place_of_the_older(script: Script) -> None:
    client = script("if asked['value'] == 2: " + ECHO)
    older = asyncio.create_task(client.ask("data", value=1))
    await asyncio.sleep(0)
    newer = client.ask("data", value=2)
    assert (await newer)["value"] == 2
    with pytest.raises(Superseded):
        await older
    await client.close()


async def test_a_question_of_another_kind_leaves_it_alone(script: Script) -> None:
    client = script(
        "waiting = [*globals().get('waiting', []), asked]\n"
        "if len(waiting) == 2:\n"
        "    for one in waiting: say(id=one['id'], answer={'ask': one['ask']})"
    )
    answers = await asyncio.gather(client.ask("data"), client.ask("model"))
    assert [answer["ask"] for answer in answers] == ["data", "model"]
    await client.close()


async def test_who_no_longer_waits_has_the_question_cancelled(script: Script) -> None:
    client = script(
        "if ask == 'data': data = id\n"
        "if ask == 'cancel': cancelled = asked['of']\n"
        "if ask == 'model': say(id=id, answer={'same': cancelled == data})"
    )
    asker = asyncio.create_task(client.ask("data"))
    await client.start()
    await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    assert await client.ask("model") == {"same": True}
    await client.close()


async def test_a_process_that_died_is_started_again_and_asked_again(script: Script, tmp_path: Path) -> None:
    died = tmp_path / "died"
    client = script(
        f"if not os.path.exists({str(died)!r}):\n    open({str(died)!r}, 'w')\n    os._exit(3)\n{ECHO}"
    )
    assert (await client.ask("model", value=7))["value"] == 7
    assert died.exists()
    await client.close()


async def test_a_process_that_always_dies_is_said_to_and_the_next_question_tries_anew(script: Script) -> None:
    client = script(f"if asked['value'] == 'deadly': os.kill(os.getpid(), 9)\n{ECHO}")
    error = await refusal(client, "data", value="deadly")
    assert error.code == "preview.died"
    assert "memory" in error.text
    assert (await client.ask("data", value="good"))["value"] == "good"
    await client.close()


async def test_a_command_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    client = PreviewClient(lambda: [str(tmp_path / "absent")])
    error = await refusal(client)
    assert error.code == "preview.died"
    assert "cannot start" in error.text
    await client.close()


async def test_what_is_no_protocol_on_its_stdout_is_passed_over(script: Script) -> None:
    client = script("print('warning: [/x]'); print('[1]'); print('{'); say(id=99, answer={})\n" + ECHO)
    assert (await client.ask("model", value=3))["value"] == 3
    await client.close()


async def test_an_answer_that_is_none_is_an_error(script: Script) -> None:
    client = script("say(id=id, answer=[1])")
    assert (await refusal(client)).code == "preview.failed"
    await client.close()


async def test_a_line_without_an_end_does_not_fill_the_memory(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpo_tui.preview.LONGEST_LINE", 1 << 16)
    client = script("sys.stdout.write('x' * (1 << 20)); sys.stdout.flush(); time.sleep(60)")
    assert (await refusal(client)).code == "preview.died"
    await client.close()


async def test_closing_ends_the_process_even_one_that_does_not_listen(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpo_tui.preview._GRACE", 0.05)
    client = script(ECHO + "\nif asked.get('value') == 'deaf': time.sleep(60)")
    pid = (await client.ask("model", value="deaf"))["pid"]
    waiting = asyncio.create_task(client.ask("data"))
    await asyncio.sleep(0)
    await client.close()
    assert not is_alive(pid, None)
    with pytest.raises(Superseded):
        await waiting
