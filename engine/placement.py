"""A loaded model on its devices: cast to its computing type, whole in each process or divided among them.

A model waits in the host's memory, as far as it can in the pages of its own files, which all processes of a machine
share. What is divided is never whole on a device: ZeRO 3 cuts weight after weight before the policy is made, and who
cuts optimizer states takes the numbers of its parts out of the model that waits.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.config.schema import Config
from engine.exits import UnusableError
from engine.launch.deepspeed import STAGES, deepspeed_config
from engine.memory import Strategy as Way
from engine.models.adapters import add_lora
from engine.models.load import LoadedModel
from engine.models.weights import trained_tensors
from engine.optimizer import MasterWeights, cast_model, lower_halves
from engine.parallel.processes import Processes
from engine.parallel.replicated import Replicated
from engine.parallel.strategy import Strategy
from engine.policy import Policy
from engine.precision import computing_type
from engine.rounding import DTYPES
from engine.whole import size

HOST = torch.device("cpu")


class Placed:
    """A policy that computes, and how its weights will be trained once it is known how it computes."""

    def __init__(self, way: Way, config: Config, model: nn.Module, processes: Processes) -> None:
        """Called by all processes alike, each with the whole `model` in its host's memory. Raises UsageError."""
        self._config, self._processes = config, processes
        self._trained = trained_tensors(model)
        self._keys = _deepspeed_keys(way, config)
        self.size = sum(map(size, self._trained.values()))
        """How many weights are trained."""
        self._beside = self._cast(way, model)
        self._strategy: Strategy | None = None
        if way == "zero3":
            from engine.parallel.zero import divide

            divide(model, self._keys or {}, processes.device)
        self.policy = Policy(model)
        if way == "zero3":  # a layer's weights come together within DeepSpeed's engine alone, for all at once
            self.policy.passes = processes.most
            self._strategy = self._make()

    def laid_out(self) -> Strategy:
        """The strategy that trains it: to be asked for when the policy will change no more."""
        return self._strategy or self._make()

    def recover(self) -> None:
        """After a pass without gradients that raised in all processes."""
        if self._strategy is not None:
            self._strategy.recover()

    def _cast(self, way: Way, model: nn.Module) -> Mapping[str, Tensor]:
        """Cast the model; returns what its trained weights are beside: nothing more, if it computes with them in fp32.

        Else their lower halves, or, for who takes only parts of them, all of them, where and as they wait.
        """
        adapters, dtype = self._config.model.lora is not None, DTYPES[self._config.model.dtype]
        beside: dict[str, Tensor] = {}
        if dtype != torch.float32 and not adapters:
            if way in STAGES:  # no copy: the cast gives the model new storage
                beside = {name: p.detach() for name, p in self._trained.items()}
            else:
                beside = lower_halves(self._trained, self._processes.device)
        cast_model(model, dtype, HOST if way == "zero3" else self._processes.device, adapters=adapters)
        return beside

    def _make(self) -> Strategy:
        settings, beside, self._beside = self._config.optimizer, self._beside, {}
        if self._keys is None:
            weights = MasterWeights(self._trained, beside, settings)
            return Replicated(self.policy, weights, self._processes)
        from engine.parallel.zero import Zero

        return Zero(self.policy, self._trained, beside, settings, self._keys, self._processes)


def place(way: Way, config: Config, loaded: LoadedModel, processes: Processes) -> Placed:
    """The loaded model, with its adapters, on the devices by the strategy of that name.

    Raises UnusableError for a model that cannot do what the config asks of it, and UsageError.
    """
    lora = config.model.lora
    model = loaded.model if lora is None else add_lora(loaded.model, lora, config.run.seed)
    if config.train.gradient_checkpointing:
        enable_checkpointing(loaded)
    if way in STAGES:
        from engine.parallel.ops import build_for_cpu

        with processes.first():
            build_for_cpu()
    return Placed(way, config, model, processes)


def enable_checkpointing(loaded: LoadedModel) -> None:
    """Recompute activations in the backward pass, for models that can."""
    if not loaded.model.supports_gradient_checkpointing:
        raise UnusableError(
            "model.no_checkpointing",
            f"{loaded.origin.id} cannot recompute activations: set train.gradient_checkpointing = false",
            id=loaded.origin.id,
        )
    loaded.model.gradient_checkpointing_enable({"use_reentrant": False})


def _deepspeed_keys(way: Way, config: Config) -> dict[str, Any] | None:
    """What DeepSpeed gets; None for a strategy that is not its own. Raises UsageError."""
    if way not in STAGES:
        return None
    return deepspeed_config(config, way, computing_type(config.model.dtype, fast_bf16=True))
