"""From a checkpoint to the model that is written, and what it computes: LoRA merged in fp32, then cast.

Adapters on a base in 4 bits are merged into the numbers that those bits stand for: that is the model that was trained,
and what the proof can hold it to. On the weights from before they were quantised it would be another model.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.exits import UnusableError
from engine.export.cast import cast
from engine.export.expected import Expected, Merge, Prompts, expect, furthest, logits_of, prompts_of
from engine.export.folder import require_space
from engine.export.source import Source
from engine.models.adapters import add_lora, is_adapted
from engine.models.generation import complete_generation_config
from engine.models.load import LoadedModel, load_model
from engine.models.nf4 import dequantize, is_nf4
from engine.models.weights import trained_tensors
from engine.rounding import DTYPES, to_dtype
from engine.stored import load_trained
from engine.whole import size

if TYPE_CHECKING:
    from peft import PeftModel

MERGE_TOLERANCE = 1e-4
"""By how much of the largest logit merging an adapter may move any logit, in fp32.

Measured on SmolLM2-135M with adapters of rank 8 to 256 that move logits by 2 to 53: 2e-6 to 1.4e-5 of the largest
logit, the rounding of fp32 through 30 layers. A wrong scale or a layer left out moves them by whole units.
"""


@dataclass(slots=True)
class Policy:
    """The model as it will be written, and what it computes; its holder lets go of the model once it is written."""

    model: "PreTrainedModel | PeftModel"
    expected: Expected | None
    """None where nobody will verify."""


def trained_policy(source: Source, tokenizer: PreTrainedTokenizerBase, verify: bool) -> Policy:
    """The base with the checkpoint's weights, in the exported type.

    Raises UnusableError: a base that changed, a checkpoint that does not fit, a model that computes nothing.
    """
    loaded = load_model(source.base, source.config.model.quantization)
    _require_same_base(loaded, source)
    _require_space(loaded.model, source)
    for name, value in loaded.published_config.items():
        setattr(loaded.model.config, name, value)
    prompts = prompts_of(source.run, loaded.model, tokenizer) if verify else None
    model = _with_checkpoint(loaded.model, source)
    if not is_adapted(model):
        return _cast(model, source, tokenizer, prompts, None)
    if source.adapter:
        return _rounded(model, source, tokenizer, prompts)
    before = logits_of(model, prompts) if prompts else None
    merged = _merged(model, source)
    merge = _require_same(before, merged, prompts) if before and prompts else None
    return _cast(merged, source, tokenizer, prompts, merge)


def _merged(model: "PeftModel", source: Source) -> PreTrainedModel:
    """The base with the adapters in its weights. Those in 4 bits are unpacked first, or peft would quantise the sum."""
    if is_nf4(model):
        base = model.unload()
        dequantize(base)
        model = _with_checkpoint(base, source)
    merged: PreTrainedModel = model.merge_and_unload()
    return merged


def _require_same_base(loaded: LoadedModel, source: Source) -> None:
    """An adapter on another base is another model. Weights trained in full need nothing of their base."""
    if source.config.model.lora and loaded.fingerprint != source.index.manifest(source.step).model_digest:
        raise UnusableError(
            "export.base_changed",
            f"{source.base.id} is not the model that {source.run.name} was trained on: its weights have changed. "
            "Pin it with `revision` in [model], or put the old files back.",
            id=source.base.id,
            run=source.run.name,
        )


def _require_space(model: PreTrainedModel, source: Source) -> None:
    count = 0 if source.adapter else sum(map(size, model.parameters()))
    require_space(source.target, count * DTYPES[source.dtype].itemsize)


def _with_checkpoint(base: PreTrainedModel, source: Source) -> "PreTrainedModel | PeftModel":
    lora = source.config.model.lora
    model = add_lora(base, lora, source.config.run.seed).eval() if lora else base
    load_trained(model, source.index.path(source.step))
    if is_adapted(model):
        _name_base(model, source)
    return model


def _name_base(adapted: "PeftModel", source: Source) -> None:
    """What the adapter says it belongs to.

    A base that is not from the Hugging Face hub keeps its path, since nobody on this machine could load the adapter
    without; what is published names no directory of this machine.
    """
    base = source.base
    private = base.source in ("local", "modelscope") and source.repo is None
    for config in adapted.peft_config.values():
        config.base_model_name_or_path = str(base.path) if private else base.public_id
        config.revision = None if base.source == "modelscope" else base.commit


def _require_same(before: list[Tensor], merged: PreTrainedModel, prompts: Prompts) -> Merge:
    """By how much merging moved a logit. Raises UnusableError where rounding does not explain it."""
    moved, prompt = furthest(before, logits_of(merged, prompts))
    largest = max(float(logits.abs().max()) for logits in before)
    allowed = MERGE_TOLERANCE * max(1.0, largest)
    if moved > allowed:
        raise UnusableError(
            "export.merge_differs",
            f"Merging the adapters into the base moves logits by {moved:.2g} in prompt {prompt}, and rounding explains "
            f"{allowed:.2g}: the merged model is not the one trained. Export with --adapter.",
            moved=moved,
            prompt=prompt,
            allowed=allowed,
        )
    return Merge(moved=moved, bound=allowed)


def _cast(
    model: PreTrainedModel,
    source: Source,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompts | None,
    merge: Merge | None,
) -> Policy:
    cast(model, DTYPES[source.dtype])
    if source.family:
        model._weight_conversions = (
            None  # those of loading know 4 bits, where there were any, and no way back
        )
    if source.family and source.layout == "native":
        source.family.make_native(model)
    complete_generation_config(model, tokenizer)
    return Policy(model, expect(model, tokenizer, prompts, merge=merge) if prompts else None)


@torch.no_grad()
def _rounded(
    model: "PeftModel", source: Source, tokenizer: PreTrainedTokenizerBase, prompts: Prompts | None
) -> Policy:
    """The adapter in the exported type. It computes in fp32 on its base again, as peft loads it, whatever its type."""
    dtype, adapter = DTYPES[source.dtype], trained_tensors(model).values()
    for parameter in adapter:
        parameter.data = to_dtype(parameter.data, dtype).float()
    expected = expect(model, tokenizer, prompts, merge=None) if prompts else None
    for parameter in adapter:
        parameter.data = parameter.data.to(dtype)  # nothing is rounded any more
    return Policy(model, expected)
