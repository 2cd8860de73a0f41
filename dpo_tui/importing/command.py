"""The verb: read a foreign config, say what became of it, and write ours."""

import sys
from pathlib import Path

from dpo_tui.display import talk
from dpo_tui.importing.convert import import_config
from dpo_tui.importing.story import story
from dpo_tui.importing.toml_text import toml_text, value_text
from dpo_tui.new_file import write_new
from engine.config.problems import shown_text
from engine.sanitize import one_line

STDOUT = Path("-")


def import_file(path: Path, destination: Path | None) -> None:
    """Write the config to a new TOML file, whose path goes to stdout, or the TOML itself where `destination` is `-`.

    Raises UsageError, ConfigError or CannotWriteError; what was mapped and what was not is talk.
    """
    imported = import_config(path)
    text = toml_text(imported)
    talk("\n".join(story(imported, value_text)))
    if destination == STDOUT:
        sys.stdout.buffer.write(text.encode())
        return
    again = f"dpo-tui import {shown_text(str(path))} --to FILE"
    print(one_line(str(write_new(text.encode(), destination, f"{path.stem}.toml", again))))
