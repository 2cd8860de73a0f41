"""Choosing a file or folder of this machine: a path with completion, and a tree of what fits."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text, TextType
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import DirectoryTree, Input, Static

from dpo_tui.keys import key
from dpo_tui.local_paths import Kind, Verdict, completed, judged, shown_in_tree
from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t
from dpo_tui.widgets.plain_input import PlainInput
from engine.config.local import expanded
from engine.sanitize import one_line


class FittingTree(DirectoryTree):
    """Folders, and the files that fit."""

    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "  "

    def __init__(self, path: Path, kind: Kind) -> None:
        super().__init__(path)
        self.kind: Kind = kind
        self.hidden = False

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Called in a thread."""
        return [path for path in paths if shown_in_tree(path, self.kind, hidden=self.hidden)]

    def process_label(self, label: TextType) -> Text:
        """The name of a file may be anything."""
        return Text(one_line(str(label)))


class PathPicker(DpoModal[str]):
    """Its result is the path as typed, `~` and all, or as the tree has it."""

    CSS_PATH = "picker.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("path.complete", "tab", "complete", priority=True),
        key("path.tree", "down", "tree"),
        key("path.hidden", "ctrl+e", "hidden", priority=True),
    ]

    @dataclass
    class Judged(Message):
        """What a path is."""

        text: str
        verdict: Verdict

    def __init__(self, kind: Kind, *, typed: str = "") -> None:
        super().__init__()
        self._kind: Kind = kind
        self._typed = typed
        self._verdict: Verdict = "missing"

    def compose(self) -> ComposeResult:
        with Vertical(id="picker"):
            yield Static(t(f"path.{self._kind}.title"), id="title")
            yield PlainInput(
                self._typed, placeholder=t("path.placeholder"), compact=True, select_on_focus=False
            )
            yield Static(id="status")
            yield FittingTree(_start(self._typed), self._kind)
            yield Static(t("path.hint"), id="hint")

    def on_mount(self) -> None:
        """The input is ready for more of the path."""
        field = self.query_one(Input)
        field.focus()
        field.cursor_position = len(field.value)
        self._judge(field.value)

    @work(exclusive=True, group="judge", exit_on_error=False)
    async def _judge(self, text: str) -> None:
        """In a thread: the file system may be far away."""
        self.post_message(self.Judged(text, await asyncio.to_thread(judged, text, self._kind)))

    @on(Input.Changed)
    def _typing(self, event: Input.Changed) -> None:
        self._typed = event.value
        self._judge(event.value)

    @on(Judged)
    def _heard(self, event: Judged) -> None:
        if event.text == self._typed:
            self._verdict = event.verdict
            self.query_one("#status", Static).update(self._status())

    @on(Input.Submitted)
    def _choose(self, event: Input.Submitted) -> None:
        """Take what fits; look into a folder that does not."""
        text = event.value.strip()
        match judged(text, self._kind):
            case "fits":
                self.dismiss(text)
            case "folder":
                self.query_one(FittingTree).path = expanded(text).absolute()
                self.action_tree()

    @on(DirectoryTree.FileSelected)
    def _file(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(str(event.path))

    @on(DirectoryTree.DirectorySelected)
    def _folder(self, event: DirectoryTree.DirectorySelected) -> None:
        """A model's folder is one whole; another is opened, and stands in the input to be taken there."""
        if self._kind == "model" and judged(str(event.path), self._kind) == "fits":
            self.dismiss(str(event.path))
        else:
            self.query_one(Input).value = str(event.path)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tab completes in the input only; from the tree it leads back."""
        if action in ("complete", "tree"):
            return isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    @work(exclusive=True, group="complete", exit_on_error=False)
    async def action_complete(self) -> None:
        """Fill the path in as far as it is certain."""
        before = self._typed
        after = await asyncio.to_thread(completed, before, self._kind)
        field = self.query_one(Input)
        if field.value == before:
            field.value = after
            field.cursor_position = len(after)

    def action_tree(self) -> None:
        """Down into the tree."""
        self.query_one(FittingTree).focus()

    def action_hidden(self) -> None:
        """Show or hide what begins with a dot."""
        tree = self.query_one(FittingTree)
        tree.hidden = not tree.hidden
        tree.reload()
        self.query_one("#hint", Static).update(t("path.hidden.shown") if tree.hidden else t("path.hint"))

    def _status(self) -> Content:
        if not self._typed.strip():
            return Content("")
        match self._verdict:
            case "fits":
                return Content.styled(f"✓ {t(f'path.{self._kind}.fits')}", "$success")
            case "folder":
                return Content(f"{t('path.folder')} · {t('path.enter')}")
            case "unfit":
                return Content.styled(f"✗ {t(f'path.{self._kind}.unfit')}", "$error")
        return Content.styled(t("path.missing"), "$warning")


def _start(typed: str) -> Path:
    """The folder that the tree begins with: the one typed, else the nearest above it, else this one."""
    path = expanded(typed).absolute() if typed else Path.cwd()
    return next((folder for folder in (path, *path.parents) if os.path.isdir(folder)), Path.cwd())
