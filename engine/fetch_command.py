"""`python -m engine fetch ID`: puts a model or dataset of ModelScope into its cache, for machines without a network."""

from collections.abc import Sequence
from pathlib import Path

from engine.arguments import Parser
from engine.config.checks import is_scope_id
from engine.data.files.modelscope import fetch_dataset
from engine.exits import Exit, UsageError
from engine.models.modelscope.snapshot import snapshot
from engine.models.quiet import talk_on_stderr
from engine.sanitize import one_line


def main(argv: Sequence[str]) -> Exit:
    """Download what training needs of it, and print the folder. Raises what downloading raises."""
    parser = Parser(prog="python -m engine fetch", description=__doc__)
    parser.add_argument("id", help="owner/name, as on ModelScope")
    parser.add_argument("--dataset", action="store_true", help="it is a dataset: all subsets and splits")
    parser.add_argument("--revision", help="branch, tag or commit; master when not given")
    asked = parser.parse_args(argv)
    if not is_scope_id(asked.id):
        text = f'"{one_line(asked.id)}" is not a repo id: expected owner/name, as on modelscope.cn.'
        raise UsageError("modelscope.bad_id", text, repo=asked.id)
    with talk_on_stderr():
        folder = _fetched(asked.id, asked.revision, dataset=asked.dataset)
    print(folder)
    return Exit.DONE


def _fetched(repo: str, revision: str | None, *, dataset: bool) -> Path:
    return fetch_dataset(repo, revision) if dataset else snapshot(repo, revision)[0]
