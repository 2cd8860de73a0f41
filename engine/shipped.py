"""What ships inside the package: the templates, and the names of the built-in model and data."""

from pathlib import Path

BUILTIN_MODELS = ("smollm2-135m-instruct",)
BUILTIN_DATA = ("quickstart",)


def template_dir() -> Path:
    """Where the templates are: `engine/_templates` in an installed wheel, `templates` in a checkout."""
    package = Path(__file__).parent
    installed = package / "_templates"
    return installed if installed.is_dir() else package.parent / "templates"


def template_names() -> list[str]:
    """Names of the templates, in alphabetical order."""
    return sorted(path.stem for path in template_dir().glob("*.toml"))
