"""A model's LM head that answers with log-probabilities of targets instead of logits."""

from importlib.util import find_spec

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.kernels.fold import EAGER, Fold, LogitShape
from engine.kernels.logprob import HeadOptions, RowStats, fused_logprob


class LogprobHead(nn.Linear):
    """The `nn.Linear` it was before, and more: with targets it never forms all logits.

    A subclass rather than a function, so that hooks which gather a sharded weight before a module's forward and
    backward pass (ZeRO-3) do so here too. `forward` without targets is the linear layer's.
    """

    options: HeadOptions

    def forward(  # type: ignore[override]
        self,
        input: Tensor,  # noqa: A002  (torch's name)
        targets: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, RowStats]:
        """Logits [..., V] of hidden states; or of `targets` [N] at hidden states [N, H] what `fused_logprob` tells."""
        if targets is None:
            return super().forward(input)
        return fused_logprob(input, self.weight, targets, self.bias, self.options)


def fuse_head(model: PreTrainedModel, options: HeadOptions) -> nn.Module:
    """Turn the model's LM head into a `LogprobHead`; one of another kind stays as it is. Returns it."""
    head: nn.Module = model.get_output_embeddings()
    if type(head) is nn.Linear:
        head.__class__ = LogprobHead
    if isinstance(head, LogprobHead):
        head.options = options
    return head


def default_fold(device: torch.device) -> Fold:
    """The best back end of a device that needs no compiling: Triton's kernels, or the eager twin."""
    if device.type != "cuda" or find_spec("triton") is None:
        return EAGER
    from engine.kernels.triton_fold import TritonFold

    return TritonFold()


def logit_shape(model: PreTrainedModel) -> LogitShape:
    """What this model does to its logits, by its config: Gemma's cap, Cohere's factor, Granite's divisor."""
    config = model.config.get_text_config()
    scale = float(getattr(config, "logit_scale", None) or 1.0)
    divisor = float(getattr(config, "logits_scaling", None) or 1.0)
    return LogitShape(scale / divisor, getattr(config, "final_logit_softcapping", None))
