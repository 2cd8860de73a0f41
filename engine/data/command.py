"""`python -m engine data CONFIG|PATH`: what training would make of the pairs, and one of them as the model sees it."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.arguments import Parser
from engine.config.load import absolute_paths, load_config
from engine.config.schema import Config
from engine.config.validate import find_faults
from engine.data.prepare import make_pairs, require_enough
from engine.data.prepared.pairs import IntArray, Pair
from engine.data.report.report import Report
from engine.data.watch import Watch
from engine.exits import Exit, UsageError
from engine.models.load import load_tokenizer
from engine.models.quiet import quiet_libraries, talk_on_stderr
from engine.pair_text import pair_text
from engine.telling import tell, tells_in_lines


def main(argv: Sequence[str]) -> Exit:
    """Print the report and one pair; as one JSON object with `--json`. Raises what preparing raises."""
    asked = _parser().parse_args(argv)
    config = _config(asked.what, asked.set, asked.model)
    quiet_libraries()
    with talk_on_stderr(), TemporaryDirectory(prefix="dpo-data-") as folder:
        tokenizer = load_tokenizer(config.model)
        prepared = make_pairs(config, tokenizer, Path(folder), Watch(_tell))
        report = prepared.report
        shown = rendered_pair(prepared.train[0], tokenizer) if len(prepared.train) else {}
    print(
        json.dumps({**report.to_json(), "example": shown}, indent=2) if asked.json else _text(report, shown)
    )
    require_enough(report, config.train.pairs_per_step)
    return Exit.DONE


def _tell(done: int, total: int | None) -> None:
    """The rows looked through, then those encoded, for a person who waits."""
    if tells_in_lines():
        tell("rows", "", params={"done": done, "total": total})
    elif sys.stderr.isatty():
        what = f"{done:,} rows looked through" if total is None else f"{done:,} of {total:,} rows encoded"
        print(f"\r{what:<40}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _parser() -> Parser:
    parser = Parser(prog="python -m engine data", description=__doc__)
    parser.add_argument("what", help="a config (.toml), or a file or folder of pairs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the config"
    )
    parser.add_argument("--model", help="for a path: whose tokenizer (folder, .gguf file or repo id)")
    return parser


def _config(what: str, overrides: list[str], model: str | None) -> Config:
    """The config named, or the defaults around a bare path."""
    if what.endswith(".toml"):
        if model:
            text = "--model goes with a path to data. For a config write --set model.id=..."
            raise UsageError("data.model_with_config", text)
        return load_config(Path(what), overrides).config
    if overrides:
        raise UsageError("data.set_with_path", "--set changes a config, and what was named is data.")
    pairs = {"sources": [{"source": "local", "path": what}]}
    values = {"model": _model(model), "data": pairs, "train": {"pairs_per_step": 1}}
    if wrong := find_faults(values):
        text = "; ".join(
            f"{'--model' if fault.key[0] == 'model' else 'the path'}: {fault.text}" for fault in wrong
        )
        raise UsageError("data.bad_word", text, detail=text)
    return absolute_paths(Config.model_validate(values))


def _model(name: str | None) -> dict[str, str]:
    if name is None:
        return {"source": "builtin", "id": "smollm2-135m-instruct"}
    local = name.startswith(("/", "./", "../", "~")) or os.path.exists(name)
    return {"source": "local" if local else "hub", "id": name}


def rendered_pair(pair: Pair, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """A pair as text, parted where the completion begins: what is before is read, what follows is trained."""
    return {
        "prompt": _decoded(pair.chosen[: pair.chosen_start], tokenizer),
        "chosen": _decoded(pair.chosen[pair.chosen_start :], tokenizer),
        "rejected": _decoded(pair.rejected[pair.rejected_start :], tokenizer),
    }


def _decoded(ids: IntArray, tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.decode(ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _text(report: Report, shown: dict[str, Any]) -> str:
    parts = [report.render()]
    if shown:
        parts.append("The first pair as the model sees it; it learns from what follows each ▸.")
        parts.append(pair_text(shown))
    return "\n\n".join(parts)
