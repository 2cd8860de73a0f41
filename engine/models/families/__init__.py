"""Models that transformers cannot load by itself and this project can, without code from their repos: one file each.

Importing a family makes transformers know it: a config class and a model class by `model_type`, and how the tensors
of its checkpoints become those of a model that transformers has. Saving turns them back.
"""

import json
from importlib import import_module
from pathlib import Path

from engine.models.families.family import Family

FAMILIES = {"internlm2": "engine.models.families.internlm2"}
"""The file of each, by `model_type` of a config.json; none is imported before it is needed."""


def family_of(kind: object) -> Family | None:
    """The family of models of type `kind`, made known to transformers; None for one that it loads by itself."""
    if not isinstance(kind, str) or kind not in FAMILIES:
        return None
    family: Family = import_module(FAMILIES[kind]).FAMILY
    return family


def family_in(folder: Path) -> Family | None:
    """The family of the model in a folder, by its config.json; None also where there is no such file."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return family_of(config.get("model_type")) if isinstance(config, dict) else None
