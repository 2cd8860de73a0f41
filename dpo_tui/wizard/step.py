"""What the wizard asks of each of its five steps."""

from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget

from dpo_tui.widgets.field import Field
from dpo_tui.wizard.draft import Draft


class Step(VerticalScroll, can_focus=False):
    """One page of the wizard: it shows its part of the draft, and writes into it.

    All steps hold the same draft. A step that changed it says `Changed`; the screen then draws the rest anew.
    """

    step_id: ClassVar[str]
    """`template`, `model` ...: its title is the text `wizard.step.<step_id>`."""

    tables: ClassVar[tuple[str, ...]] = ()
    """The tables of the config it fills: `model`, `data`. Faults below them are shown as this step's."""

    @dataclass
    class Changed(Message):
        """The draft is not as it was."""

        step: "Step"

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Step.Changed) and message.step is self.step

    class Told(Message):
        """What is known of the step is not as it was: the rail says so."""

    class Done(Message):
        """The person is through with this step: on to the next."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(id=f"step-{self.step_id}", classes="step")
        self.draft = draft

    def fills(self, key: str) -> bool:
        """Whether a key is this step's to fill."""
        return key.split(".")[0] in self.tables

    def problems(self) -> list[str]:
        """The keys of this step with faults."""
        return [key for key in self.draft.faults() if self.fills(key)]

    @property
    def settled(self) -> bool:
        """Whether it is done once it was seen without a fault."""
        return True

    def summary(self) -> str:
        """The word or two that the rail says of it; text that is not ours included, as it is."""
        return ""

    @property
    def doubtful(self) -> bool:
        """Whether it has something to look at again that does not keep from starting."""
        return False

    def shown(self) -> None:
        """It is on the screen now: called each time it is entered."""

    def refresh_from_draft(self) -> None:
        """Another step, or the app, changed the draft: show what it says now. All fields do so already."""
        for field in self.query(Field):
            if field.is_mounted:  # one that is not yet will look by itself
                field.refresh_from_draft()

    def focus_entry(self) -> None:
        """Put the focus where one begins: the first field with a fault, else the first thing that takes it."""
        wrong = next((field for field in self.query(Field) if field.has_class("-fault")), None)
        if wrong is not None:
            wrong.focus_value()
        elif first := next((widget for widget in self.query(Widget) if widget.focusable), None):
            first.focus(scroll_visible=False)
            self.call_after_refresh(self.scroll_home, animate=False)

    def focus_key(self, key: str) -> bool:
        """Put the focus into the field of a key, or of the one its value is a part of; False where none is shown."""
        fields = [field for field in self.query(Field) if f"{key}.".startswith(f"{field.key}.")]
        shown = [field for field in fields if all(node.display for node in field.ancestors_with_self)]
        for field in shown[:1]:
            field.focus_value()
        return bool(shown)

    def set(self, key: str, value: Any) -> None:
        """Write a value into the draft, None to leave the key out, and tell the screen."""
        self.draft.set(key, value)
        self.post_message(self.Changed(self))

    @on(Field.Changed)
    def _field_changed(self, event: Field.Changed) -> None:
        event.stop()
        self.refresh_from_draft()
        self.post_message(self.Changed(self))
