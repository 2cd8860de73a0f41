"""The model as the trainer sees it: a pack in, the log-probability of each sequence out.

Three ways to compute it, from fastest to plainest, all exact:

* `shared`: packed, each pair's common prefix computed once
* `packed`: packed, chosen and rejected as segments of their own
* `single`: each sequence through the model's own forward pass, for models the attention back ends cannot serve

`choose_mode` tries one pair from the fastest down and says in words why it stepped down.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine import attention
from engine.data.prepared.pairs import Pair
from engine.kernels.fold import Fold
from engine.kernels.head import LogprobHead, default_fold, fuse_head, logit_shape
from engine.kernels.logprob import HeadOptions, RowStats, fused_logprob
from engine.kernels.tied import tie
from engine.layout import PackLayout, Segment, lay_out
from engine.memory import LOGITS_BUDGET
from engine.models.adapters import adapter_disabled, is_adapted
from engine.models.nf4 import is_nf4, numerics
from engine.parallel.team import Team
from engine.plan import attention_share
from engine.shape import ModelShape, shape_of
from engine.whole import size

Mode = Literal["shared", "packed", "single"]


class TokenStats:
    """What scored rows tell beside their log-probabilities, summed over passes."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(4, device=device)
        """Entropy and number of all rows; rows of chosen completions with the likeliest token, and their number."""

    def add(self, stats: RowStats, is_chosen: Tensor) -> None:
        """Take in the rows of a pass; `is_chosen` [N] tells those of chosen completions."""
        rows = stats.entropy.new_tensor(stats.entropy.numel())
        hits = (stats.top * is_chosen).sum()
        self.sums += torch.stack([stats.entropy.sum(), rows, hits, is_chosen.sum().to(rows.dtype)])


class Policy(nn.Module):
    """Wraps a causal language model; `forward` is what gradients and process groups are wrapped around."""

    def __init__(self, model: nn.Module, mode: Mode = "shared", fold: Fold | None = None) -> None:
        """`model` is a transformers causal LM, or a peft model around one; `fold` is the head's back end."""
        super().__init__()
        self.model = model
        self.compiled = False
        self.team: Team | None = None
        """The processes that share each pack's tokens; None where one has them all. Sums are theirs together."""
        self.passes: Callable[[int], int] = int
        """How many passes through the model there are for a pack of so many sequences that run one by one: as many, or,
        where passes are joint ones of all processes, as the one with the most has."""
        self._told: TokenStats | None = None
        self._tied = tie(self.base.get_input_embeddings(), self.base.get_output_embeddings())
        self.use_fold(fold)
        self.mode: Mode = mode
        self.native = attention.runs_native(self.base)
        self.own_attention: str = self.base.config._attn_implementation or "eager"
        self.use_mode(mode)

    @property
    def base(self) -> PreTrainedModel:
        """The transformers model, adapters or not."""
        model: PreTrainedModel = self.model.get_base_model() if is_adapted(self.model) else self.model
        return model

    @property
    def shares_prefix(self) -> bool:
        return self.mode == "shared"

    def use_mode(self, mode: Mode) -> None:
        """Switch the attention the model runs on."""
        self.mode = mode
        self.base.set_attn_implementation(self.own_attention if mode == "single" else attention.NAME)

    def use_fold(self, fold: Fold | None) -> None:
        """Compute the head by `fold`, or by the best back end of the device that needs no compiling.

        A model that computes its activations again does so with its logits.
        """
        fold = fold or default_fold(self.base.device)
        budget = 0 if self.base.is_gradient_checkpointing else LOGITS_BUDGET
        self._use_options(
            HeadOptions(shape=logit_shape(self.base), fold=fold, budget=budget, tied=self._tied)
        )

    def _use_options(self, options: HeadOptions) -> None:
        self.options = options
        fuse_head(self.base, options)

    def use_budget(self, budget: int) -> None:
        """Keep at most so many bytes of logits between forward and backward."""
        self._use_options(replace(self.options, budget=budget))

    @contextmanager
    def telling(self, rows: TokenStats | None) -> Iterator[None]:
        """Within it every pass adds to `rows` what its scored rows tell; with None nothing is told, as without."""
        before = self.options
        self._use_options(replace(before, stats=rows is not None))
        self._told = rows
        try:
            yield
        finally:
            self._told = None
            self._use_options(before)

    @property
    def key_cost(self) -> float:
        """What attending to a key costs, in units of what a token costs elsewhere; 0 for a model that does not say."""
        shape = self.shape
        if shape is None:
            return 0.0
        weights = shape.parameters - size(self.base.get_input_embeddings().weight)
        return attention_share(shape.layers, shape.heads, shape.head_dim, max(1, weights))

    @property
    def shape(self) -> ModelShape | None:
        """The model's sizes; None for a model whose config does not say them."""
        return shape_of_model(self.base)

    @property
    def numerics(self) -> str:
        """The part of this policy in how results round."""
        native, compiled = "native attention" if self.native else "", "compiled" if self.compiled else ""
        parts = (self.mode, native, compiled, numerics() if is_nf4(self.base) else "")
        return " ".join(part for part in parts if part)

    def lay_out(self, pairs: Sequence[Pair]) -> PackLayout:
        """The pack this policy wants for `pairs`, on its device."""
        pack = lay_out(pairs, self.shares_prefix, self.native).to(self.base.device)
        pack.table.team = self.team
        return pack

    def forward(self, pack: PackLayout, *, by_token: bool = False) -> Tensor:
        """fp32 [2B]: summed log-probability of each completion, chosen at 2i and rejected at 2i + 1.

        With `by_token` fp32 [N]: that of each target.
        """
        if by_token:
            return self.token_logps(pack)
        sums = torch.stack([part.sum() for part in self.token_logps(pack).split(pack.counts)])
        return sums if self.team is None else self.team.sum(sums)

    def token_logps(self, pack: PackLayout) -> Tensor:
        """fp32 [N]: log-probability of each target."""
        return self._single(pack) if self.mode == "single" else self._packed(pack)

    def _packed(self, pack: PackLayout) -> Tensor:
        """[N] log-probabilities of the targets, only their rows going through the head."""
        if self.team is not None:
            return self._packed_by(self.team, pack)
        hidden = self._hidden(pack.input_ids, position_ids=pack.position_ids, pack_segments=pack.table)
        logps, stats = self._head(hidden.index_select(0, pack.rows), pack.targets)
        if self._told is not None:
            self._told.add(stats, pack.is_chosen)
        return logps

    def _packed_by(self, team: Team, pack: PackLayout) -> Tensor:
        """As `_packed`, from this process's tokens: its own rows' log-probabilities, and zeros for all others."""
        start, stop = team.own(pack.tokens)
        hidden = self._hidden(
            team.part(pack.input_ids), position_ids=team.part(pack.position_ids), pack_segments=pack.table
        )
        (own,) = ((pack.rows >= start) & (pack.rows < stop)).nonzero(as_tuple=True)
        logps, stats = self._head(hidden.index_select(0, pack.rows[own] - start), pack.targets[own])
        if self._told is not None:
            self._told.add(stats, pack.is_chosen[own])
        return logps.new_zeros(len(pack.rows)).index_put((own,), logps)

    def _hidden(self, input_ids: Tensor, **kwargs: object) -> Tensor:
        decoder = self.base.get_decoder()
        out = decoder(input_ids=input_ids, use_cache=False, **kwargs)
        hidden: Tensor = out.last_hidden_state[0]  # [T, H]
        return hidden

    def _head(self, hidden: Tensor, targets: Tensor) -> tuple[Tensor, RowStats]:
        head = self.base.get_output_embeddings()
        if not isinstance(head, LogprobHead):
            return fused_logprob(hidden, head.weight, targets, getattr(head, "bias", None), self.options)
        logps, stats = head(hidden, targets)
        return logps, stats

    def _single(self, pack: PackLayout) -> Tensor:
        """[N] log-probabilities by the model's own forward pass; the pack must not share prefixes."""
        more = self.passes(len(pack.segments)) - len(pack.segments)
        logps = torch.cat([self._segment(pack, segment) for segment in pack.segments])
        for _ in range(more):
            logps = logps + 0 * self._segment(pack, pack.segments[0]).sum()
        return logps

    def _segment(self, pack: PackLayout, segment: Segment) -> Tensor:
        """[n] log-probabilities of the targets in one segment."""
        assert segment.shared == 0
        ids = pack.input_ids[:, segment.start : segment.stop]
        logits = self.base(input_ids=ids, use_cache=False).logits[0].float()  # [n, V]
        mine = (pack.rows >= segment.start) & (pack.rows < segment.stop)
        scores = logits[pack.rows[mine] - segment.start].log_softmax(-1)
        logps: Tensor = scores.gather(1, pack.targets[mine, None])[:, 0]
        return logps

    def as_reference(self) -> AbstractContextManager[None]:
        """Within it the policy is its own reference: adapters off, or, without adapters, the weights as they are."""
        return adapter_disabled(self.model)


@dataclass(frozen=True, slots=True)
class ModeChoice:
    """The mode chosen, and why not the one before it."""

    mode: Mode
    reason: str | None = None


# Mean difference to the plain forward pass that rounding explains, in nats a token.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}


def shape_of_model(base: PreTrainedModel) -> ModelShape | None:
    """The sizes of a loaded model, its adapters not counted; None where its config does not say them."""
    own = (size(p) for name, p in base.named_parameters() if ".lora_" not in name)
    return shape_of(base.config.get_text_config().to_dict(), sum(own))


def choose_mode(
    policy: Policy,
    pair: Pair,
    share_prompt: bool,
    dropout: bool,
    recover: Callable[[], None] = lambda: None,
) -> ModeChoice:
    """The fastest mode whose result for `pair` is that of the model's own forward pass.

    `recover` is called after a pass that raised.
    """
    if reason := attention.refusal(policy.base):
        return ModeChoice("single", f"packs are not used: {reason}")
    if share_prompt and dropout:
        return _checked(policy, pair, "packed", "prompts are not shared: the adapters use dropout", recover)
    return _checked(policy, pair, "shared" if share_prompt else "packed", None, recover)


@torch.no_grad()
def _checked(
    policy: Policy, pair: Pair, mode: Mode, reason: str | None, recover: Callable[[], None]
) -> ModeChoice:
    """Step down from `mode` until it agrees with `single`."""
    expected = _token_logps(policy, pair, "single")
    steps: tuple[Mode, ...] = ("shared", "packed") if mode == "shared" else ("packed",)
    for candidate in steps:
        try:
            gap = float((_token_logps(policy, pair, candidate) - expected).abs().mean())
            if gap <= TOLERANCE[policy.base.dtype]:
                return ModeChoice(candidate, reason)
            reason = f"{candidate} log-probabilities differ from the model's own by {gap:.2g} nats a token"
        except torch.OutOfMemoryError:
            raise
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            reason = f"the model does not run {candidate} packs ({type(error).__name__}: {error})"
            recover()
    return ModeChoice("single", reason)


def _token_logps(policy: Policy, pair: Pair, mode: Mode) -> Tensor:
    """[N] log-probability of each token of both completions, computed in evaluation mode."""
    training = policy.training
    policy.eval()
    policy.use_mode(mode)
    logps: Tensor = policy(policy.lay_out([pair]), by_token=True)
    policy.train(training)
    return logps
