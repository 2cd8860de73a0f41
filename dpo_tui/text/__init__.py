"""What the app says, in English and Chinese: one catalogue a language, one file an area, the same keys in both."""

import importlib
import os
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

LANGUAGE_VARIABLE = "DPO_TUI_LANG"

_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_chosen: Language = "en"


def use(language: Language) -> None:
    """From now on speak this language."""
    global _chosen
    _chosen = language


def language() -> Language:
    """The language spoken."""
    return _chosen


def choose(asked: str | None, preferred: str | None, environ: Mapping[str, str] | None = None) -> Language:
    """The first there is of: what is asked for, the environment, the person's settings, the locale; else English."""
    environ = os.environ if environ is None else environ
    for wish in (asked, environ.get(LANGUAGE_VARIABLE), preferred):
        if wish in LANGUAGES:
            return wish
    locale = next((value for name in _LOCALE_VARIABLES if (value := environ.get(name))), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def t(key: str, /, **params: Any) -> str:
    """The text of `key` with `params` filled in. Raises KeyError for a key no catalogue has: a fault of ours."""
    text = catalogue(_chosen)[key]
    return text.format_map(params) if params else text


def has(key: str) -> bool:
    """Whether the catalogue has a text of this key."""
    return key in catalogue(_chosen)


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """All texts of a language by their key."""
    package = importlib.import_module(f"{__name__}.{language}")
    texts: dict[str, str] = {}
    for module in pkgutil.iter_modules(package.__path__):
        texts |= importlib.import_module(f"{package.__name__}.{module.name}").TEXTS
    return texts
