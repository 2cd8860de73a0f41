"""Models that come as a PyPI package: found on disk, never imported, never downloaded."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from engine.exits import EnvironmentUnfitError, UsageError
from engine.shipped import BUILTIN_PACKAGES


@dataclass(frozen=True, slots=True)
class Builtin:
    """A GGUF file inside an installed package."""

    package: str
    file: str
    install: str
    origin: str
    """Hub id of the model the file was made from: what a model card names as its base."""
    license: str


BUILTIN_MODELS = {
    "smollm2-135m-instruct": Builtin(
        package=BUILTIN_PACKAGES["smollm2-135m-instruct"].name,
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        install=BUILTIN_PACKAGES["smollm2-135m-instruct"].install,
        origin="HuggingFaceTB/SmolLM2-135M-Instruct",
        license="apache-2.0",
    )
}


def builtin_model(name: str) -> Builtin:
    """The table's entry; UsageError names what there is."""
    builtin = BUILTIN_MODELS.get(name)
    if builtin is None:
        known = ", ".join(sorted(BUILTIN_MODELS))
        raise UsageError(
            "model.builtin_unknown",
            f'There is no built-in model "{name}". Built-in models: {known}.',
            id=name,
            known=known,
        )
    return builtin


def builtin_file(name: str) -> Path:
    """Where the built-in model's GGUF lies.

    The package is located and not imported: its import wants llama.cpp bindings that training never uses.
    """
    builtin = builtin_model(name)
    spec = importlib.util.find_spec(builtin.package)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        file = Path(folder) / builtin.file
        if file.is_file():
            return file
    raise EnvironmentUnfitError(
        "model.builtin_missing",
        f"The built-in model {name} is not installed. Install it with: {builtin.install}",
        id=name,
        command=builtin.install,
    )
