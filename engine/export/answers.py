"""The same questions to the model before and after training: what it would say to a stranger who loads it."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerBase

from engine.config.load import load_config
from engine.config.schema import Quantization
from engine.export.questions import Question, questions_of
from engine.export.tokenizer import with_template
from engine.models.generation import stop_tokens
from engine.models.gguf import load_gguf_model
from engine.models.load import load_model, load_tokenizer, loading
from engine.models.nf4 import place
from engine.models.resolve import ResolvedModel, resolve
from engine.numerics import device_has_bf16
from engine.pins import pinned
from engine.precision import computing_type
from engine.rounding import DTYPES
from engine.rundir.paths import RunDir

NEW_TOKENS = 80
"""Most tokens of an answer: enough to see how it goes on, and seconds on a CPU."""

CUT = "…"


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with what the base and what the exported model say to it."""

    question: str
    before: str
    after: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def compared(run: RunDir, folder: Path, count: int) -> list[Answer]:
    """Up to `count` questions out of the run's pairs, answered by its base and by what `folder` holds.

    One model is in memory at a time. Raises UnusableError where there are no pairs any more, or a model that
    cannot be loaded, and what resolving the base raises.
    """
    config = pinned(load_config(run.config).config, run)
    base = resolve(config.model)
    tokenizer = with_template(config, load_tokenizer(base))
    questions = questions_of(run, tokenizer, count)
    dtype = DTYPES[computing_type(config.model.dtype, fast_bf16=device_has_bf16())]
    if (folder / "adapter_config.json").is_file():
        model = _base(base, dtype, config.model.quantization)
        before, after = _by_adapter(model, base, folder, tokenizer, questions)
    else:
        before = _answers(_base(base, dtype), tokenizer, questions)
        _free()
        after = _answers(_exported(folder, base), tokenizer, questions)
    return [Answer(q.text, *said) for q, *said in zip(questions, before, after, strict=True)]


def _by_adapter(
    model: Any,
    base: ResolvedModel,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
) -> tuple[list[str], list[str]]:
    """One base serves both: as it is, and with the adapter put on."""
    from peft import PeftModel

    before = _answers(model, tokenizer, questions)
    with loading(base, "model"):
        adapted = PeftModel.from_pretrained(model, str(folder))
    return before, _answers(adapted, tokenizer, questions)


def _base(base: ResolvedModel, dtype: torch.dtype, quantization: Quantization | None = None) -> Any:
    """As it was before anything was trained; with `quantization` as an adapter needs it."""
    if quantization:
        model = load_model(base, quantization).model
        place(model, dtype, model.device)
        return model.to(dtype)
    with loading(base, "model"):
        if base.gguf_file:
            return load_gguf_model(base.path / base.gguf_file)[0].to(dtype)
        return AutoModelForCausalLM.from_pretrained(
            str(base.path), dtype=dtype, use_safetensors=True, trust_remote_code=base.trust_remote_code
        )


def _exported(folder: Path, base: ResolvedModel) -> Any:
    with loading(base, "model"):
        return AutoModelForCausalLM.from_pretrained(
            str(folder), dtype="auto", use_safetensors=True, trust_remote_code=base.trust_remote_code
        )


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _answers(model: Any, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question]) -> list[str]:
    if torch.cuda.is_available():
        model.to("cuda")
    elif model.dtype is torch.float16 or not device_has_bf16():  # computed slowly, if at all
        place(model, torch.float32, model.device)
        model.float()
    return [continued(model, tokenizer, question.ids) for question in questions]


def continued(model: Any, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int]) -> str:
    """The likeliest answer to a prompt of token ids, at most NEW_TOKENS tokens; one that is cut there ends in `…`."""
    stops = stop_tokens(tokenizer)
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    room = NEW_TOKENS if positions is None else max(1, min(NEW_TOKENS, positions - len(prompt)))
    ids = torch.tensor([list(prompt)], device=model.device)
    with torch.inference_mode(), _plainly(model, stops, room):
        tokens = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids))
    new = tokens[0, ids.shape[1] :].tolist()
    text = str(tokenizer.decode(new, skip_special_tokens=True)).strip()
    return text if not stops or set(stops) & set(new) else text + CUT


@contextmanager
def _plainly(model: Any, stops: Sequence[int], room: int) -> Iterator[None]:
    """Within it the model's own wishes, a temperature or a penalty, change nothing."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = whole.generation_config
    whole.generation_config = GenerationConfig(
        max_new_tokens=room,
        do_sample=False,
        use_cache=True,
        eos_token_id=list(stops) or None,
        pad_token_id=stops[0] if stops else None,
    )
    training = whole.training
    whole.eval()
    try:
        yield
    finally:
        whole.generation_config = before
        whole.train(training)
