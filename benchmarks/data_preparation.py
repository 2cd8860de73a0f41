"""Preparing pairs: how fast, in how much memory, and how soon a broken last row is named.

    python benchmarks/data_preparation.py [--pairs 1000 100000] [--broken-last-row 1000000]

Makes JSON Lines files of pairs with a seed, and prepares each in a process of its own with the tokenizer of the
built-in model: first with an empty cache, then again for another run, which finds the set in the cache. With
`--broken-last-row` a file of so many short rows whose last one is cut off is given to `dpo-tui data`.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SEED = 0
COMMON = "the a of to and in is that it for on with as by from at this be are not or but which when how than"
RARER = """water light stone river garden market letter engine winter summer window bridge number answer question
memory machine colour paper island forest harbour teacher student doctor farmer weather morning evening kitchen
table bottle pocket ticket station railway mountain valley planet signal copper silver cotton sugar pepper butter
onion carrot apple orange lemon rabbit horse sparrow spider camera mirror hammer blanket carpet curtain candle
shadow thunder whisper promise journey balance measure pattern surface temperature government experiment
explanation consequence algorithm parameter expression derivative"""
ENDINGS = ("", "", "", "s", "ed", "ing", "er", "less", "ly", "'s", "-like", "ward")
MARKS = (".", ".", ".", "?", "!", ":", ";", ".\n", ".\n\n- ")
WORDS = (COMMON.split(), RARER.split())


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one process reports of one preparation, and the most memory it ever held."""

    pairs: int
    tokens: int
    seconds: float
    before_mib: float
    peak_mib: float
    reused: bool


def main(argv: Sequence[str] | None = None) -> None:
    """Make the files, start the processes, print what they report."""
    if argv is None and sys.argv[1:2] == ["child"]:
        return child(Path(sys.argv[2]), Path(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000, 100_000], help="sizes to prepare")
    parser.add_argument(
        "--broken-last-row", type=int, metavar="ROWS", help="rows of a file with a broken end"
    )
    asked = parser.parse_args(argv)
    with TemporaryDirectory(prefix="dpo-bench-") as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "cache"))
        sizes(Path(folder), asked.pairs)
        if asked.broken_last_row:
            broken(Path(folder), asked.broken_last_row)
    return None


def sizes(folder: Path, counts: Sequence[int]) -> None:
    """Prepare files of each size, twice, and compare the memory of the first with that of the last."""
    heads = f"{'pairs':>9} {'tokens':>12} {'seconds':>8} {'pairs/s':>8} {'tokens/s':>9} {'before':>7} {'peak MiB':>9}"
    print(f"{heads}   from the cache")
    peaks = []
    for count in counts:
        file = write(folder / f"{count}.jsonl", map(json.dumps, pairs(count)))
        first, again = (prepared(file, folder / f"{count}-{turn}") for turn in (1, 2))
        if (first.reused, again.reused, first.pairs, again.pairs) != (False, True, count, count):
            raise AssertionError(f"not what this measures: {first}, {again}")
        peaks.append(first.peak_mib)
        print(
            f"{first.pairs:>9,} {first.tokens:>12,} {first.seconds:>8.1f} {first.pairs / first.seconds:>8,.0f} "
            f"{first.tokens / first.seconds:>9,.0f} {first.before_mib:>7,.0f} {first.peak_mib:>9,.0f}   "
            f"{again.seconds:.2f} s",
            flush=True,
        )
    print(f"peak memory of the last over that of the first: {peaks[-1] / peaks[0]:.3f}")


def broken(folder: Path, count: int) -> None:
    """Time `dpo-tui data` on a file whose last row is cut off, from start to exit."""
    rows = (json.dumps(row) for row in short_pairs(count))
    file = write(
        folder / "broken.jsonl", (row[:-10] if at == count else row for at, row in enumerate(rows, 1))
    )
    started = time.perf_counter()
    command = [sys.executable, "-m", "dpo_tui", "data", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    size = file.stat().st_size / 2**20
    print(
        f"\n{count:,} rows ({size:,.0f} MiB), the last one cut off: exit {done.returncode} after {seconds:.1f} s"
    )
    print(done.stderr.strip())
    assert done.returncode == 3, done


def prepared(file: Path, out: Path) -> Prepared:
    """Prepare a file in a fresh process."""
    command = [sys.executable, __file__, "child", str(file), str(out)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, stdin=subprocess.DEVNULL)
    return Prepared(**json.loads(done.stdout))


def child(file: Path, out: Path) -> None:
    """What the fresh process does: as in training, up to the pairs on disk."""
    from engine.config.schema import Config
    from engine.data.prepare import make_pairs
    from engine.models.load import load_tokenizer

    values = {
        "model": {"source": "builtin", "id": "smollm2-135m-instruct"},
        "data": {"sources": [{"source": "local", "path": str(file)}]},
    }
    config = Config.model_validate(values)
    tokenizer = load_tokenizer(config.model)
    before = peak_mib()
    started = time.perf_counter()
    made = make_pairs(config, tokenizer, out)
    seconds = time.perf_counter() - started
    lengths = [store.lengths() for store in (made.train, made.eval) if store is not None]
    tokens = sum(int(length[:, :2].sum() - length[:, 4].sum()) for length in lengths)  # what is shared, once
    report = Prepared(made.report.kept, tokens, seconds, before, peak_mib(), made.reused)
    print(json.dumps({name: getattr(report, name) for name in Prepared.__slots__}))


def peak_mib() -> float:
    """The most memory this process has held so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(path: Path, lines: Iterator[str]) -> Path:
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def pairs(count: int) -> Iterator[dict[str, Any]]:
    """Chats of one question with two answers, of very different lengths: two or three hundred tokens a pair."""
    rng = random.Random(SEED)
    for _ in range(count):
        question = [{"role": "user", "content": text(rng, 25)}]
        sides = ([{"role": "assistant", "content": text(rng, 40)}] for _ in range(2))
        yield dict(zip(("prompt", "chosen", "rejected"), (question, *sides), strict=True))


def short_pairs(count: int) -> Iterator[dict[str, Any]]:
    """Questions with two answers as plain text, of a dozen words each."""
    rng = random.Random(SEED)
    sentences = [text(rng, 12) for _ in range(10_000)]  # so that making a million rows takes seconds
    for number in range(count):
        prompt, chosen, rejected = rng.sample(sentences, 3)
        yield {"prompt": f"{number}: {prompt}", "chosen": chosen, "rejected": rejected}


def text(rng: random.Random, words: int) -> str:
    """About so many words, from a third of it to three times as many: common ones, rarer ones, names, numbers."""
    parts = []
    for _ in range(max(3, round(rng.lognormvariate(0, 0.5) * words))):
        parts.append(word(rng))
        if rng.random() < 0.09:
            parts[-1] += rng.choice(MARKS)
    return " ".join(parts).strip().capitalize()


def word(rng: random.Random) -> str:
    common, rarer = WORDS
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(common)
    if kind < 0.95:
        return rng.choice(rarer) + rng.choice(ENDINGS)
    return str(rng.randrange(10_000)) if kind < 0.97 else rng.choice(rarer).title() + rng.choice(rarer)


if __name__ == "__main__":
    main()
