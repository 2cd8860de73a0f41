"""What is installed, logged in to, and in the caches of this machine; no network."""

import importlib.util

from engine import modelscope_home
from engine.shipped import BUILTIN_PACKAGES


def installed(builtin: str) -> bool:
    """Whether the package of a built-in model is there."""
    return importlib.util.find_spec(BUILTIN_PACKAGES[builtin].name) is not None


def has_modelscope() -> bool:
    """Whether the package is there that ModelScope's files are transferred with."""
    return importlib.util.find_spec("modelscope_hub") is not None


def hub_is_off() -> bool:
    """Whether the hub may not be asked."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def logged_in() -> bool:
    """Whether there is a token for the hub."""
    from huggingface_hub import get_token

    return get_token() is not None


def cached_of_hub() -> frozenset[str]:
    """Models and datasets of the hub on this disk."""
    from dpo_tui.hub.cache import cached

    return frozenset([*cached("model"), *cached("dataset")])


def cached_of_modelscope() -> frozenset[str]:
    """Models and datasets of ModelScope on this disk."""
    return frozenset([*modelscope_home.cached("model"), *modelscope_home.cached("dataset")])
