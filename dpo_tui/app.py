"""The app: which screen is on, in which colours, and how it is left. It owns no run: its end changes none."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.screen import Screen

from dpo_tui.keys import key
from dpo_tui.quitting import QuitPolicy
from dpo_tui.settings import Recents, Settings
from dpo_tui.text import has, language, t, use
from dpo_tui.theme import DEFAULT, METRIC_HUES, METRIC_HUES_ANSI, THEMES
from engine.launch.local import SupervisorCommand, supervisor_command
from engine.sanitize import one_line


class DpoApp(QuitPolicy):
    """`dpo-tui`. Screens are imported when they are first shown, so that the first frame is there at once."""

    CSS_PATH = Path(__file__).parent / "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+k"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("app.quit", "ctrl+q", "quit", priority=True),
        key("app.help", "f1,question_mark", "help"),
        key("app.commands", "ctrl+k", "command_palette", priority=True),
        key("app.jump", "ctrl+o", "jump", priority=True),
        key("app.theme", "ctrl+t", "change_theme", priority=True),
        key("app.language", "f9", "other_language"),
        key("app.screenshot", "f12", "save_screenshot"),
    ]

    def __init__(
        self,
        runs_dir: Path,
        *,
        runs_given: bool = False,
        settings: Settings | None = None,
        recents: Recents | None = None,
        run: Path | None = None,
        config: Path | None = None,
        new: bool = False,
        supervisor: SupervisorCommand = supervisor_command,
    ) -> None:
        """`run` opens on that run's monitor, `config` or `new` on the wizard, neither on the list of runs.

        `runs_given`: a new run goes into `runs_dir`, whatever its config says.
        """
        super().__init__()
        self.runs_dir = runs_dir.absolute()
        self.runs_given = runs_given
        self.settings = settings or Settings()
        self.recents = recents or Recents()
        self.supervisor = supervisor
        self._first = (run, config, new)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The hues of metrics, for themes that do not name them."""
        theme = self.available_themes.get(self.theme)
        return METRIC_HUES_ANSI if theme is not None and theme.ansi else METRIC_HUES

    def on_load(self) -> None:
        """Colours and keys as the person wants them."""
        for theme in THEMES:
            self.register_theme(theme)
        wanted = self.settings.theme or DEFAULT
        self.theme = wanted if wanted in self.available_themes else DEFAULT
        self.set_keymap(self.settings.keys)

    def _unusable_settings(self) -> Iterator[str]:
        """What the settings name and the app does not have."""
        theme = self.settings.theme
        if theme is not None and theme not in self.available_themes:
            yield t("app.no_theme", theme=one_line(theme), themes=", ".join(sorted(self.available_themes)))
        for name in self.settings.keys:
            if not has(f"key.{name}"):
                yield t("app.no_key", name=one_line(name))

    def on_mount(self) -> None:
        """The first screens; a terminal that goes away ends the app in good order."""
        self.listen_to_signals()
        for problem in self._unusable_settings():
            self.notify(problem, severity="warning", markup=False, timeout=10)
        run, config, new = self._first
        self.open_home()
        if run is not None:
            self.open_monitor(run)
        elif new or config is not None:
            self.open_wizard(config)

    def open_home(self) -> None:
        """The list of runs: the screen under all others."""
        from dpo_tui.screens.home import HomeScreen

        self.push_screen(HomeScreen(self.runs_dir))

    def open_monitor(self, root: Path) -> None:
        """One run's curves and log."""
        from dpo_tui.screens.monitor import MonitorScreen

        self.push_screen(MonitorScreen(root))

    def open_wizard(self, config: Path | None = None) -> None:
        """A new run, from a template or from a config."""
        from dpo_tui.wizard.screen import WizardScreen

        self.push_screen(WizardScreen(self.runs_dir, config, runs_given=self.runs_given))

    def open_export(self, root: Path) -> None:
        """A model from one of a run's checkpoints."""
        from dpo_tui.screens.export import ExportScreen

        self.push_screen(ExportScreen(root))

    def open_compare(self, roots: Sequence[Path]) -> None:
        """Several runs' curves, one over the other."""
        from dpo_tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(tuple(roots)))

    def run_started(self, root: Path) -> None:
        """A run was started or resumed here: show it, over the list of runs."""
        self.started.append(root)
        while len(self.screen_stack) > 2:
            self.pop_screen()
        self.open_monitor(root)

    def action_help_quit(self) -> None:
        """What Ctrl+C does: it says how to leave, since it is pressed by habit."""
        self.notify(t("app.ctrl_c", key=self.keys_of("app.quit")), markup=False)

    def keys_of(self, binding: str) -> str:
        """The keys that a binding has now, the person's own if there are."""
        active = [one.binding for one in self.screen.active_bindings.values() if one.binding.id == binding]
        return ", ".join(self.get_key_display(one) for one in active)

    def action_help(self) -> None:
        """Explain what has the focus, and the keys."""
        from dpo_tui.screens.help import HelpScreen, help_of, keys_of

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(help_of(self.screen), keys_of(self.screen)))

    def action_jump(self) -> None:
        """A letter on everything that can have the focus."""
        from dpo_tui.screens.jump import JumpScreen

        if not isinstance(self.screen, JumpScreen):
            self.push_screen(JumpScreen(self.screen))

    def action_command_palette(self) -> None:
        """Every action by its name."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=t("app.palette"), id="--command-palette"))

    def action_other_language(self) -> None:
        """Speak the other language from the next screen on."""
        use("zh" if language() == "en" else "en")
        self.screen.refresh_bindings()
        self.notify(t("app.restart_language"), markup=False)

    def action_save_screenshot(self) -> None:
        """The screen as a picture, in the working directory."""
        try:
            told = t("app.screenshot", path=self.save_screenshot())
        except OSError as error:
            self.notify(f"{t('app.failed')}: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(told, markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every key that works now, by what it does."""
        for node, binding, enabled, tip in screen.active_bindings.values():
            if binding.id is None or not enabled or binding.action == "command_palette":
                continue
            yield SystemCommand(
                binding.description,
                f"{tip}  ·  {self.get_key_display(binding)}",
                lambda action=binding.action, node=node: self.call_later(self.run_action, action, node),
            )
