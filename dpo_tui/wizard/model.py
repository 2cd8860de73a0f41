"""The second step: the model that is trained, all of it or adapters on it."""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from dpo_tui.preview import PreviewError, Superseded
from dpo_tui.text import t
from dpo_tui.text.fields import field_guide
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.field import Field
from dpo_tui.widgets.labelled import Labelled
from dpo_tui.widgets.path_picker import PathPicker
from dpo_tui.widgets.picker import Picker
from dpo_tui.wizard.draft import MODEL_KEYS, Draft
from dpo_tui.wizard.kinds import shown
from dpo_tui.wizard.model_facts import facts_text, parameters_of, shape_of
from dpo_tui.wizard.origins import SOURCES, first_choice, recent_ids, twin
from dpo_tui.wizard.previewed import PreviewedStep, is_shown, refusal
from engine.shape import ModelShape

PAUSE = 0.3
"""Seconds without a change before the model is read."""

RATE_OF_ADAPTERS = 2e-6
"""Below this learning rate adapters hardly move."""

_LORA = "model.lora"


class Weights(Labelled):
    """All weights, or adapters."""

    def help_text(self) -> str:
        """About adapters, for F1."""
        return field_guide(_LORA)


class ModelStep(PreviewedStep):
    """Says of the model what can be told without loading it, and why it cannot be trained where that is so."""

    step_id = "model"
    tables: ClassVar[tuple[str, ...]] = ("model",)
    DEFAULT_CSS = """
    ModelStep {
        #model-id, .of-hub { height: auto; }
        .of-scope { display: none; color: $text-muted; padding-left: 20; height: auto; }
        &.-modelscope .of-scope { display: block; }
        #facts { margin: 1 0; min-height: 7; height: auto; }
        .of-hub { display: none; }
        &.-hub .of-hub, &.-modelscope .of-hub { display: block; }
        #model-id .unit { display: none; }
        #model-id:focus-within .unit { display: block; }
        &.-builtin #model-id:focus-within .unit, &.-modelscope #model-id:focus-within .unit { display: none; }
        #code { display: none; }
        &.-code.-hub #code { display: block; }
        #adapters { height: auto; display: none; }
        &.-lora #adapters { display: block; }
        #rate { color: $warning; height: auto; padding-left: 20; display: none; }
        &.-slow #rate { display: block; }
    }
    """

    @dataclass
    class Read(Message):
        """What was found out about a model: facts, or why there are none."""

        model: dict[str, Any]
        facts: dict[str, Any] | None = None
        error: PreviewError | None = None

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self.parameters: int | None = None
        """How many the model has, once that is known."""
        self.shape: ModelShape | None = None
        """Its sizes, likewise."""
        self._asked: dict[str, Any] | None = None
        self._chosen: dict[str, str] = {}
        """The name chosen of each source, for whoever goes back to it."""
        self._lora: dict[str, Any] | None = None
        self._source = ""
        self._error: PreviewError | None = None

    def compose(self) -> ComposeResult:
        yield Field("model.source", self.draft)
        with Vertical(id="model-id"):
            yield Field("model.id", self.draft)
            yield Static(t("wizard.no_search"), classes="of-scope", markup=False)
        with Vertical(classes="of-hub"):
            yield Field("model.revision", self.draft)
        with Vertical(id="code"):
            yield Field("model.trust_remote_code", self.draft)
        yield Field("model.dtype", self.draft)
        yield Static(id="facts")
        words = [(name, t(f"model_step.weights.{name}")) for name in ("all", "lora")]
        yield Weights(t("model_step.weights"), Choice(words), id="weights")
        with Vertical(id="adapters"):
            for name in ("rank", "alpha", "dropout", "targets", "quantization"):
                yield Field(f"{_LORA}.{name}", self.draft)
        yield Static(id="rate", markup=False)

    def on_mount(self) -> None:
        """Show what the draft says."""
        self._dress()

    @property
    def up_to_date(self) -> bool:
        """Whether what is known is of the model that the draft names: it may have another by now."""
        asked, now = self._asked or {}, self._model()
        return all(asked.get(key) == now.get(key) for key in ("source", "id", "revision"))

    def summary(self) -> str:
        """The model's name."""
        return str(self.draft.get("model.id") or "").rstrip("/").rpartition("/")[2]

    def refresh_from_draft(self) -> None:
        """Only what the source and the adapters need is there."""
        self._dress()
        super().refresh_from_draft()

    def look(self) -> None:
        """Have the model read."""
        model = self._model()
        away = self._error is not None and self._error.code.startswith(("hub.", "modelscope."))
        if model == self._asked and not away:
            return
        self._asked, self._error, self.parameters, self.shape = model, None, None, None
        if any(key.removeprefix("model.") in MODEL_KEYS for key in self.problems()):
            self._say(Content.styled(t("model_step.invalid"), "dim"))
            return
        self._say(Content.styled(t("model_step.reading"), "dim"))
        self._read(model)

    @work(exclusive=True, group="model", exit_on_error=False)
    async def _read(self, model: dict[str, Any]) -> None:
        await asyncio.sleep(PAUSE)
        if not is_shown(self):
            self._asked = None
            return
        try:
            self.post_message(self.Read(model, await self.preview.ask("model", model=model)))
        except PreviewError as error:
            self.post_message(self.Read(model, error=error))
        except Superseded:
            pass

    @on(Read)
    def _was_read(self, event: Read) -> None:
        event.stop()
        if event.model != self._asked:
            return
        self._error, self.parameters = event.error, parameters_of(event.facts)
        self.shape = shape_of(event.facts)
        if event.error is not None:
            self._say(refusal(event.error))
        elif event.facts is not None:
            self._say(facts_text(event.facts))
            self.recents.remember("model", [event.model.get("source", "hub"), event.model["id"]])
        self._dress()
        self.post_message(self.Told())

    @on(Field.Changed)
    def _source_changed(self) -> None:
        """Another source has other names; what the one before had alone goes with it."""
        before, self._source = self._source, str(self.draft.get("model.source"))
        if self._source == before:
            return
        self._chosen[before] = name = str(self.draft.get("model.id"))
        chosen = self._chosen.get(self._source) or twin(name, self._source)
        self.draft.set(
            "model.id", chosen or first_choice("model", self._source, self.recents.recall("model"))
        )
        self.draft.unset("model.revision")
        self.draft.unset("model.trust_remote_code")

    @on(Choice.Changed)
    def _weights_chosen(self, event: Choice.Changed) -> None:
        """All weights, or adapters; each time with the numbers chosen before."""
        event.stop()
        if event.value == "all":
            self._lora = self.draft.get(_LORA)
            self.draft.unset(_LORA)
        else:
            rank = {"rank": self.draft.get(f"{_LORA}.rank")}
            for name, value in (self._lora or rank).items():
                self.draft.set(f"{_LORA}.{name}", value)
        self.refresh_from_draft()
        self.post_message(self.Changed(self))

    @on(Input.Submitted, "#model-id Input")
    def _pick(self, event: Input.Submitted) -> None:
        """Enter on the model's name opens the list, or the tree, it can be chosen from."""
        event.stop()
        typed = event.value.strip()
        if self._source == "hub":
            recent = recent_ids(self.recents.recall("model"), "hub")
            picker = Picker("model", typed="" if "/" in typed else typed, recent=recent)
            self.app.push_screen(picker, self._picked)
        elif self._source == "local":
            self.app.push_screen(PathPicker("model", typed=typed), self._picked)

    def _picked(self, name: str | None) -> None:
        if name is not None:
            self.set("model.id", name)
            self.refresh_from_draft()

    def _model(self) -> dict[str, Any]:
        """What the helper process has to know of the draft."""
        table = self.draft.values().get("model")
        return (
            {key: value for key, value in table.items() if key in MODEL_KEYS}
            if isinstance(table, dict)
            else {}
        )

    def _say(self, text: Content) -> None:
        self.query_one("#facts", Static).update(text)

    def _dress(self) -> None:
        """Show what the source, the adapters and the errors ask for."""
        self._source = str(self.draft.get("model.source"))
        for source in SOURCES:
            self.set_class(source == self._source, f"-{source}")
        lora, rate = self.draft.given(_LORA), self.draft.get("optimizer.learning_rate")
        remote = self._error is not None and self._error.code == "model.remote_code"
        self.set_class(remote or self.draft.given("model.trust_remote_code"), "-code")
        self.set_class(lora, "-lora")
        self.query_one("#weights Choice", Choice).value = "lora" if lora else "all"
        slow = isinstance(rate, float | int) and rate < RATE_OF_ADAPTERS
        self.set_class(lora and slow, "-slow")
        self.query_one("#rate", Static).update(t("model_step.rate", rate=shown(rate)) if slow else "")
