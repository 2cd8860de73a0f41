"""Dropout off, wherever a model keeps it: policy and reference must compute the same logps before step 1."""

from collections.abc import Iterator
from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

NAMES = ("dropout", "_pdrop", "layerdrop", "drop_rate", "drop_path_rate")


def silence_dropout(model: PreTrainedModel) -> None:
    """Sets every dropout probability to 0: in the config, in dropout layers, in numbers modules copied."""
    for config in _configs(model.config):
        for name in _dropout_names(vars(config)):
            setattr(config, name, 0.0)
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name in _dropout_names(vars(module)):
            setattr(module, name, 0.0)


def dropout_values(config: PretrainedConfig) -> dict[str, float]:
    """The config's own probabilities, so that an export can say again what the author said."""
    return {name: vars(config)[name] for name in _dropout_names(vars(config))}


def _configs(config: PretrainedConfig) -> Iterator[PretrainedConfig]:
    yield config
    for value in vars(config).values():
        if isinstance(value, PretrainedConfig):
            yield from _configs(value)


def _dropout_names(values: dict[str, Any]) -> list[str]:
    return [
        name for name, value in values.items() if isinstance(value, float) and value and name.endswith(NAMES)
    ]
