"""Packages that a config needs and that are installed only if asked for: missed before anything is downloaded."""

from importlib.util import find_spec

from engine.config.schema import Config
from engine.exits import EnvironmentUnfitError
from engine.shipped import Package

BITSANDBYTES = Package("bitsandbytes", 'pip install "dpo-tui[qlora]"')


def lacking(config: Config) -> Package | None:
    """The package that is not here; None where nothing is missing."""
    return BITSANDBYTES if config.model.quantization and not installed(BITSANDBYTES) else None


def installed(package: Package) -> bool:
    """Whether it is here; it is not imported."""
    return find_spec(package.name) is not None


def require_extras(config: Config) -> None:
    """Raise EnvironmentUnfitError with the command that installs what is missing."""
    if package := lacking(config):
        raise EnvironmentUnfitError(
            "model.no_quantizer",
            f'[model.lora] quantization = "{config.model.quantization}" needs {package.name}, which is not installed. '
            f"Install it with: {package.install}",
            package=package.name,
            command=package.install,
        )
