"""Each question to where its answer is found, and what is kept between two of them: a tokenizer, the last pairs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.data.watch import Progress, Watch
from engine.exits import UsageError
from engine.models.quiet import quiet_libraries
from engine.preview.columns import columns_of
from engine.preview.data_preview import DataPreview, preview_data
from engine.preview.model_facts import model_facts
from engine.preview.protocol import Request
from engine.preview.settings import config_of, model_of, source_of
from engine.preview.tokenizers import Tokenizers

Answer = Mapping[str, Any]


class Answers:
    """Answers one request after the other. Raises whatever keeps one from an answer."""

    def __init__(self, scratch: Path) -> None:
        quiet_libraries()
        self._scratch = scratch
        self._tokenizers = Tokenizers()
        self._shown: DataPreview | None = None
        self._asks: Mapping[str, Callable[[Mapping[str, Any], Watch], Answer]] = {
            "model": self._model,
            "data": self._data,
            "pair": self._pair,
            "columns": self._columns,
        }

    def answer(self, request: Request, progress: Progress) -> Answer:
        """What the request asks for; raises `StopRequested` soon after it was cancelled."""
        watch = Watch(progress, lambda: request.cancelled)
        watch.poll()
        return self._asks[request.ask](request.fields, watch)

    def _model(self, fields: Mapping[str, Any], _watch: Watch) -> Answer:
        model = model_of(fields.get("model"))
        resolved, tokenizer = self._tokenizers.of(model)
        return model_facts(model, resolved, tokenizer)

    def _data(self, fields: Mapping[str, Any], watch: Watch) -> Answer:
        config = config_of(fields.get("config"))
        rows = fields.get("rows")
        if rows is not None and (type(rows) is not int or rows < 1):
            raise UsageError("preview.bad_request", "expected `rows`, a number of 1 or more")
        _, tokenizer = self._tokenizers.of(config.model)
        watch.poll()
        shown = preview_data(config, rows, tokenizer, self._scratch, watch)
        self._shown = shown
        return shown.to_json()

    def _pair(self, fields: Mapping[str, Any], _watch: Watch) -> Answer:
        index, count = fields.get("index"), 0 if self._shown is None else self._shown.count
        if self._shown is None or type(index) is not int or not 0 <= index < count:
            text = f"there is no pair {index!r}: {count:,} are prepared"
            raise UsageError("preview.no_pair", text, index=index, count=count)
        return self._shown.pair(index)

    def _columns(self, fields: Mapping[str, Any], watch: Watch) -> Answer:
        return columns_of(source_of(fields.get("source")), watch)
