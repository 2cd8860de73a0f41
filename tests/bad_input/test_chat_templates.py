"""Chat templates are programs from anywhere: what they may not do, and that they cannot go on for ever."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.exits import Exit
from tests.bad_input.command import Command, failed

MESSAGES = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
LARGE = "{{ 'x' * 10000000000 }}"
FLOOD = "{% for a in range(1000) %}{{ 'x' * 1000000 }}{% endfor %}"
LIMIT_SECONDS = 40  # of a machine that does other things as well
LIMIT_BYTES = 6 << 30


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('touch canary') }}",
        "{{ lipsum.__globals__['os'].system('touch canary') }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('no \x1b]0;title\x07 roles') }}",
        "{{ undefined.attribute }}",
        "{{ 1 / 0 }}",
        "{% for",
        "{{ messages[0]['content'] | no_such_filter }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% for a in range(1000000000) %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)  # fmt: skip
def test_a_template_that_does_what_it_may_not_ends_the_run(
    dpo_tui: Command, config: Path, tmp_path: Path, template: str
) -> None:
    path = tmp_path / "template.jinja"
    path.write_text(template + (MESSAGES if template.startswith("{% for a") else ""))
    outcome = dpo_tui("--headless", config, f"--set=data.chat_template='{path}'")
    failed(outcome, Exit.UNUSABLE, "template")
    assert not (tmp_path / "canary").exists()
    assert "\x1b" not in outcome.err + outcome.log
    assert not list(tmp_path.glob("runs/*/data/*.arrow"))


@pytest.mark.parametrize("template", ["nothing of the messages", "{{ ('%s' | attr('format')).__globals__ }}"])
def test_a_template_that_leaves_out_the_messages_leaves_nothing_to_train_on(
    dpo_tui: Command, config: Path, tmp_path: Path, template: str
) -> None:
    path = tmp_path / "template.jinja"
    path.write_text(template)
    outcome = dpo_tui("--headless", config, f"--set=data.chat_template='{path}'")
    failed(outcome, Exit.UNUSABLE)


def test_a_template_of_the_model_is_no_more_trusted(
    dpo_tui: Command, config: Path, model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__ }}")
    failed(dpo_tui("--headless", config, f"--set=model.id='{folder}'"), Exit.UNUSABLE, "template")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (2 << 20), b" \n"])
def test_a_file_that_is_no_template_is_named(
    dpo_tui: Command, config: Path, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "template.jinja"
    path.write_bytes(content)
    outcome = dpo_tui("--headless", config, f"--set=data.chat_template='{path}'")
    failed(outcome, Exit.UNUSABLE, f"data.chat_template: {path}")


@pytest.mark.parametrize("template", [ENDLESS, LARGE, FLOOD], ids=["endless", "large", "flood"])
def test_a_template_without_end_is_given_up(config: Path, tmp_path: Path, template: str) -> None:
    path = tmp_path / "template.jinja"
    path.write_text(template + MESSAGES)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "engine", "data", f"--set=data.chat_template='{path}'", str(config)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES)),
    )
    assert done.returncode == Exit.UNUSABLE, done.stderr
    assert "template" in done.stderr
    assert "Traceback" not in done.stderr
