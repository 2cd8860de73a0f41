"""What the policy in memory is and computes: all that a fresh process must find again in the exported folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.data.prepared.pairs import PairStore
from engine.exits import UnusableError
from engine.export.reading import compute, config_values, marks, plain_numerics, ties, tokenised
from engine.models.adapters import is_adapted
from engine.models.generation import generation_values
from engine.rundir.paths import RunDir

if TYPE_CHECKING:
    from peft import PeftModel

PROMPTS = 3
PROMPT_TOKENS = 64
TEXTS = (
    "The capital of France is Paris, and that of Spain is",
    "Zwei plus zwei ist vier; 2 + 2 = 4. 二加二等于四。",
    "def double(x):\n    return 2 * x\n",
)
"""For a run whose prepared pairs are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What both sides compute: token ids, and texts to be tokenised."""

    ids: list[list[int]]
    texts: list[str]
    trained: bool
    """Whether they are the run's own pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What merging an adapter did to the logits, in fp32."""

    moved: float
    """By how much it moved one at most."""
    bound: float
    """By how much rounding may move one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The policy before it is written."""

    prompts: Prompts
    logits: list[Tensor]
    """[n, V] of each prompt, computed in the type that is exported."""
    tensors: dict[str, str]
    """Marks of all its tensors."""
    ties: list[list[str]]
    attention: str | None
    threads: int
    chat_template: Any
    eos: int | None
    tokenised: list[list[int]]
    config: dict[str, Any] | None
    """What the model's config says. None for an adapter: that is its base's to say."""
    generation: dict[str, Any] | None
    """What the generation config says; None as above."""
    merge: Merge | None
    """None where nothing was merged."""


def prompts_of(run: RunDir, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Prompts:
    """The first of the run's own pairs, cut short; fixed texts where they are gone."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or PROMPT_TOKENS
    limit = min(PROMPT_TOKENS, positions)
    pairs = _first_pairs(run, limit)
    texts = [tokenizer.decode(ids) for ids in pairs] if pairs else list(TEXTS)
    ids = pairs or [ids[:limit] or [0] for ids in tokenised(tokenizer, texts)]
    return Prompts(ids=ids, texts=texts, trained=bool(pairs))


def _first_pairs(run: RunDir, limit: int) -> list[list[int]]:
    try:
        store = PairStore.open(run.data_dir / "train.arrow")
    except UnusableError:
        return []
    return [store[index].chosen[:limit].tolist() for index in range(min(PROMPTS, len(store)))]


def logits_of(model: nn.Module, prompts: Prompts) -> list[Tensor]:
    """What the model computes for the prompts, here and now. Raises UnusableError where it computes nothing."""
    with plain_numerics(torch.get_num_threads()):
        try:
            logits = compute(model, prompts.ids)
        except RuntimeError as error:
            if "allocate memory" in str(error):
                raise
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise _cannot_compute(f"this model computes nothing in that type on a CPU ({line})") from error
    for number, tensor in enumerate(logits, 1):
        if bool(tensor.isnan().any()):
            raise _cannot_compute(f"its logits are NaN in prompt {number}: the weights do not fit that type")
    return logits


def expect(
    model: "PreTrainedModel | PeftModel",
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompts,
    *,
    merge: Merge | None,
) -> Expected:
    """All there is to know of `model` as it will be written."""
    adapter = is_adapted(model)
    return Expected(
        prompts=prompts,
        logits=logits_of(model, prompts),
        tensors=marks(model),
        ties=ties(model),
        attention=getattr(model.config, "_attn_implementation", None),
        threads=torch.get_num_threads(),
        chat_template=tokenizer.chat_template,
        eos=tokenizer.eos_token_id,
        tokenised=tokenised(tokenizer, prompts.texts),
        config=None if adapter else config_values(model.config),
        generation=None if adapter else generation_values(model.generation_config),
        merge=merge,
    )


def furthest(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> tuple[float, int]:
    """The largest difference between two sets of logits, and the prompt it is in, counted from 1."""
    gaps = [float((a.float() - b.float()).abs().max()) for a, b in zip(ours, theirs, strict=True)]
    largest = max(gaps)
    return largest, gaps.index(largest) + 1


def _cannot_compute(why: str) -> UnusableError:
    return UnusableError(
        "export.cannot_compute",
        f"The export was not written: {why}. Choose another --dtype; --no-verify (verify = false in [export]) "
        "writes it as it is.",
        detail=why,
    )
