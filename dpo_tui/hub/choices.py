"""What a list of repos shows for a typed text: those used and downloaded before, then what the hub found."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dpo_tui.hub.search import Repo

Why = Literal["recent", "cached", "found", "as_typed"]

_CACHED: Why = "cached"
_RECENT: Why = "recent"

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Choice:
    """A repo to choose, and why it is in the list."""

    repo: Repo
    why: Why


def choices(text: str, recent: Sequence[str], cached: Sequence[str], found: Sequence[Repo]) -> list[Choice]:
    """The list for `text`, each repo once; a whole id that is not in it may be taken as typed."""
    facts = {repo.id: repo for repo in found}
    known: dict[str, Why] = {**dict.fromkeys(cached, _CACHED), **dict.fromkeys(recent, _RECENT)}
    local = [Choice(facts.get(id_, Repo(id_)), known[id_]) for id_ in _fitting(text, [*recent, *cached])]
    listed = [*local, *(Choice(repo, "found") for repo in found if repo.id not in known)]
    return _with_typed(text, listed)


def _fitting(text: str, ids: Iterable[str]) -> list[str]:
    """The local ids that fit, the best first; all of them, in their order, for no text."""
    from textual.fuzzy import Matcher

    unique = list(dict.fromkeys(ids))
    if not text:
        return unique
    matcher = Matcher(text)
    scores: Mapping[str, float] = {id_: matcher.match(id_) for id_ in unique}
    return sorted((id_ for id_ in unique if scores[id_] > 0), key=lambda id_: -scores[id_])


def _with_typed(text: str, listed: list[Choice]) -> list[Choice]:
    """An id typed in full comes first, but not while it begins others: then somebody is still typing."""
    exact = [choice for choice in listed if choice.repo.id.lower() == text.lower()]
    if exact:
        return [*exact, *(choice for choice in listed if choice not in exact)]
    if not REPO_ID.fullmatch(text):
        return listed
    typed = Choice(Repo(text), "as_typed")
    begins = any(choice.repo.id.lower().startswith(text.lower()) for choice in listed)
    return [*listed, typed] if begins else [typed, *listed]
