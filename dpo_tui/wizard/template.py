"""The first step: what to start from, and how to train."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dpo_tui import templates
from dpo_tui.text import has, t
from dpo_tui.widgets.field import Field
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.naming import near
from dpo_tui.wizard.step import Step
from engine.sanitize import one_line

KNOBS: dict[str, tuple[str, ...]] = {
    "objective": ("objective.loss", "objective.beta", "objective.label_smoothing"),
    "optimizer": ("optimizer.learning_rate", "optimizer.schedule", "optimizer.warmup_ratio"),
    "length": ("train.epochs", "train.max_steps", "train.pairs_per_step", "train.tokens_per_pack"),
    "saving": ("train.save_every", "data.eval_fraction"),
}
"""The settings people change most, by their heading; all others are a key away."""

FIRST = "quickstart"
"""Trains with what is built in: nothing to choose, nothing to download."""

_OTHERS = ("model", "data", "run", "launch", "export")
"""Tables that the other steps fill."""


class TemplateStep(Step):
    """Choosing a template keeps the model and the data that were chosen."""

    step_id = "template"
    tables: ClassVar[tuple[str, ...]] = ("objective", "optimizer", "train", "gates")

    @dataclass
    class Chosen(Message):
        """Somebody wants to start from another template."""

        name: str

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self._purposes = dict(sorted(templates.purposes().items(), key=lambda one: (one[0] != FIRST, one[0])))

    def compose(self) -> ComposeResult:
        yield Static(t("wizard.template.from"), classes="heading", markup=False)
        yield OptionList(compact=True, id="templates")
        yield Static(id="purpose", classes="note", markup=False)
        for heading, keys in KNOBS.items():
            yield Static(t(f"wizard.knobs.{heading}"), classes="heading", markup=False)
            for key in keys:
                yield Field(key, self.draft)
        yield Static(t("wizard.knobs.more"), classes="note", markup=False)

    def on_mount(self) -> None:
        """Mark what was started from."""
        self._list()

    def fills(self, key: str) -> bool:
        """All tables that no other step fills, misspelled ones too."""
        return key.split(".")[0] not in _OTHERS

    def summary(self) -> str:
        """The template's name; a file's own settings have none."""
        return self.draft.template or t("wizard.template.file")

    def refresh_from_draft(self) -> None:
        """The mark moves with the template."""
        super().refresh_from_draft()
        self._list()

    @on(OptionList.OptionSelected, "#templates")
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        name = event.option_id or ""
        self.post_message(self.Done() if name == self.draft.template else self.Chosen(name))

    @on(OptionList.OptionHighlighted, "#templates")
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._tell()

    def _tell(self) -> None:
        """What the marked template is for, and what taking it would leave of a file."""
        at = self.query_one("#templates", OptionList).highlighted
        name = list(self._purposes)[at or 0]
        lines = [purpose_of(name, self._purposes[name])]
        if self.draft.template is None:
            lines.append(t("wizard.template.own", path=one_line(near(self.draft.origin))))
        self.query_one("#purpose", Static).update(Content("\n".join(lines)))

    def _list(self) -> None:
        options = self.query_one("#templates", OptionList)
        at = options.highlighted
        options.set_options(Option(self._option(name), id=name) for name in self._purposes)
        names = list(self._purposes)
        chosen = names.index(self.draft.template) if self.draft.template in names else 0
        options.highlighted = chosen if at is None else at
        self._tell()

    def _option(self, name: str) -> Content:
        chosen = name == self.draft.template
        return Content.assemble(
            ("● " if chosen else "○ ", "$accent" if chosen else "dim"),
            (one_line(name), "bold" if chosen else ""),
        )


def purpose_of(name: str, english: str) -> str:
    """What a template is for, in the language spoken; `english` is its first line."""
    return t(f"wizard.template.{name}") if has(f"wizard.template.{name}") else one_line(english)
