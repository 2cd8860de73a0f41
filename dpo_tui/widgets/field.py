"""A key of the config on one line: its label, its value, and below it a line of help that turns into the error."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from dpo_tui.keys import key
from dpo_tui.text import has, t
from dpo_tui.text.explain import fault_text
from dpo_tui.text.fields import field_guide, field_help, field_label
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.plain_input import PlainInput
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.kinds import Kind, default_of, kind_of, schema_path, shown, typed

UNSET = ""
"""The word of a choice that leaves the key out."""


class Field(Vertical):
    """Edits one key of a draft. What is typed goes into the draft as it is, right or wrong: one look tells both."""

    DEFAULT_CSS = """
    Field {
        height: auto; width: 1fr;
        .line { height: auto; }
        .label { width: 20; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; padding-right: 1; }
        Input { width: 1fr; max-width: 56; background: $surface; }
        Input.number { width: 12; }
        Input:focus { background: $panel; }
        .unit { width: auto; color: $text-muted; padding-left: 1; }
        .help { display: none; color: $text-muted; padding-left: 20; height: auto; }
        &.-word .unit { display: none; }
        &.-focused .label { color: $accent; }
        &.-focused .help { display: block; }
        &.-default Input { color: $text-muted; }
        &.-noted .help { display: block; }
        &.-fault .help { display: block; color: $error; }
        &.-fault .label { color: $error; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [key("field.reset", "ctrl+r", "reset")]

    @dataclass
    class Changed(Message):
        """The draft has another value of this key."""

        field: "Field"

        @property
        def control(self) -> "Field":
            return self.field

    def __init__(self, key: str, draft: Draft, *, label: str | None = None) -> None:
        super().__init__(classes="field")
        self.key = key
        self.draft = draft
        self._path = schema_path(key)
        self._label = label or field_label(self._path)
        self._kind: Kind = kind_of(key)
        self._as_words = self._kind.name in ("choice", "switch")
        self._heard = ""
        """What the input held when the draft was last brought into line with it."""
        self._emptied: tuple[str, str] | None = None
        """The config before and after emptying the input took the key out of it."""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Static(plain_line(self._label), classes="label")
            if self._as_words:
                yield Choice(list(self._words()))
            else:
                yield PlainInput(
                    compact=True,
                    select_on_focus=True,
                    placeholder=self._placeholder(),
                    classes="number" if self._kind.name in ("whole", "number") else None,
                )
                if has(f"unit.{self._path}"):
                    yield Static(t(f"unit.{self._path}"), classes="unit", markup=False)
        yield Static(classes="help")

    def on_mount(self) -> None:
        """Show what the draft says."""
        self.refresh_from_draft()

    def on_descendant_focus(self) -> None:
        """Show the help."""
        self.add_class("-focused")

    def on_descendant_blur(self) -> None:
        """Hide it, and show what an empty input stands for."""
        self.remove_class("-focused")
        self.refresh_from_draft()

    def refresh_from_draft(self) -> None:
        """Show what the draft says; text that means the same stays as it was typed.

        Nobody's hand is forced: keys that were typed and not heard of yet stay, and so does an input just emptied.
        """
        value = self.draft.in_force(self.key)
        if self._as_words:
            choice = self.query_one(Choice)
            choice.value = shown(value)
            choice.dimmed = not self.draft.given(self.key)
        else:
            field = self.query_one(Input)
            emptied = field.has_focus and not field.value.strip() and not self.draft.given(self.key)
            if field.value == self._heard and not emptied and typed(self.key, field.value) != value:
                self._write(shown(value))
        self._tell()

    def _write(self, text: str) -> None:
        """Put a text into the input as if it had been there before."""
        self._heard = text
        with self.prevent(Input.Changed):
            self.query_one(Input).value = text

    def focus_value(self) -> None:
        """Put the focus into the field."""
        self.query_one(Choice if self._as_words else Input).focus()

    def help_text(self) -> str:
        """All about the key, for F1."""
        return field_guide(self._path)

    def action_reset(self) -> None:
        """Leave the key out: its default counts again."""
        if self._kind.required or not self.draft.given(self.key):
            return
        self.draft.unset(self.key)
        if not self._as_words:
            self._write(shown(self.draft.in_force(self.key)))
        self._changed()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        """Take over what the input holds now: of keys typed fast, events tell of each by itself, and late."""
        event.stop()
        self._heard = event.input.value
        put_back = self._put_back() if self._heard.strip() else False
        if put_back or typed(self.key, self._heard) != self.draft.in_force(self.key):
            before = self.draft.text
            self.draft.enter(self.key, self._heard)
            self._emptied = None if self._heard.strip() else (before, self.draft.text)
            self._changed()

    def _put_back(self) -> bool:
        """A value typed anew stands where the old one stood, with its comment."""
        before, after = self._emptied or ("", None)
        self._emptied = None
        if self.draft.text != after:
            return False
        self.draft.put_back(before)
        return True

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self.draft.enter(self.key, event.value)
        self._changed()

    def _changed(self) -> None:
        if self._as_words:
            self.refresh_from_draft()
        self._tell()
        self.post_message(self.Changed(self))

    def _tell(self) -> None:
        """The line below: the help, what is wrong, or why another value counts than the config's."""
        fault, own = self.draft.fault_at(self.key), self.draft.get(self.key)
        noted = fault is None and self.draft.in_force(self.key) != own
        self.set_class(fault is not None, "-fault")
        self.set_class(noted, "-noted")
        self.set_class(own in self._kind.choices, "-word")
        self.set_class(not self.draft.given(self.key) and not noted, "-default")
        line = field_help(self._path) if fault is None else f"✗ {fault_text(fault)}"
        self.query_one(".help", Static).update(plain(t("field.runs_given", dir=own) if noted else line))

    def _words(self) -> list[tuple[str, str]]:
        if self._kind.name == "switch":
            return [("true", t("field.on")), ("false", t("field.off"))]
        unset = [(UNSET, t("field.unset"))] if self._kind.optional else []
        named = [(word, self._named(word)) for word in self._kind.choices]
        return [*unset, *named]

    def _named(self, word: str) -> str:
        return t(f"choice.{self._path}.{word}") if has(f"choice.{self._path}.{word}") else word

    def _placeholder(self) -> str:
        """What an empty input stands for: the default, or nothing."""
        return t("field.unset") if self._kind.optional else shown(default_of(self.key))
