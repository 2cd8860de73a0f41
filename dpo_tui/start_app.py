"""From the command line to the app and back: its exit code, and what is said of runs that go on."""

import os
import sys
from pathlib import Path

from dpo_tui.display import talk
from dpo_tui.settings import Settings, load_settings
from dpo_tui.text import choose, t, use
from dpo_tui.text.explain import error_text
from engine.exits import UsageError


def has_screen() -> bool:
    """Whether this is a terminal that can show screens. Textual draws on stderr."""
    dumb = os.environ.get("TERM", "dumb") in ("dumb", "")
    return not dumb and all(
        stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)
    )


def run_app(
    runs_dir: Path | None, *, run: Path | None = None, config: Path | None = None, new: bool = False
) -> int:
    """Show the app until it is left; returns its exit code. `runs_dir`: where --runs says that all runs are."""
    from dpo_tui.app import DpoApp

    where = runs_dir or (run.parent if run else Path("runs"))
    given = runs_dir is not None
    app = DpoApp(where, runs_given=given, settings=_settings(), run=run, config=config, new=new)
    app.run()
    for farewell in app.farewells:
        talk(farewell.text())
    return (app.return_code or 0) if app.return_value is None else app.return_value


def _settings() -> Settings:
    """The person's settings; the defaults where they are wrong, which `speak` has told of."""
    try:
        return load_settings()
    except UsageError:
        return Settings()


def speak(language: str | None) -> None:
    """Choose the language for this process. Settings that are wrong stop no command: they are told of."""
    try:
        use(choose(language, load_settings().language))
    except UsageError as error:
        use(choose(language, None))
        talk(t("command.settings_wrong", problem=error_text(error)))
