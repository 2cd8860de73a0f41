"""One question to the engine in a process of its own, since it needs torch: words in, one line of JSON out."""

import json
import os
import subprocess
from typing import Any

from dpo_tui.text import t
from engine.launch.local import ENGINE, supervisor_environment


class NoAnswerError(Exception):
    """Why the engine did not answer, in words."""


def ask(*words: str, patience: float) -> Any:
    """What `python -m engine WORDS` prints last, within `patience` seconds. Raises NoAnswerError."""
    try:
        ended = subprocess.run(
            [*ENGINE, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=supervisor_environment(os.environ),
            timeout=patience,
            check=True,
        )
        return json.loads(_last_line(ended.stdout))
    except subprocess.TimeoutExpired as error:
        raise NoAnswerError(t("command.memory.silent", seconds=f"{patience:g}")) from error
    except subprocess.CalledProcessError as error:
        why = _last_line(error.stderr) or t("command.memory.code", code=error.returncode)
        raise NoAnswerError(why) from error
    except ValueError as error:
        raise NoAnswerError(str(error)) from error
    except OSError as error:
        raise NoAnswerError(error.strerror or str(error)) from error


def _last_line(text: str) -> str:
    """A process's own word comes last, after whatever its libraries had to say."""
    return next(reversed(text.strip().splitlines()), "")
