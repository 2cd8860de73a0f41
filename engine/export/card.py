"""The model card of an export: what was done, to what, with what result, in words and curves.

A card is published: it names no directory of this machine, and what came from outside is quoted, never markup.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from huggingface_hub import ModelCard

from engine.config.load import resolved_toml
from engine.config.schema import Config
from engine.export.curves import draw_curves, is_number
from engine.export.proof import Proof
from engine.models.builtin import builtin_model
from engine.models.hub_errors import Kind
from engine.models.modelscope.errors import ScopeRepo
from engine.models.resolve import ResolvedModel
from engine.snippet import loading_snippet

CURVES = "curves.png"
LOSSES = {
    "sigmoid": "DPO ([Rafailov et al., 2023](https://arxiv.org/abs/2305.18290))",
    "ipo": "IPO ([Azar et al., 2023](https://arxiv.org/abs/2310.12036))",
    "hinge": "the hinge loss of SLiC-HF ([Zhao et al., 2023](https://arxiv.org/abs/2305.10425))",
    "robust": "robust DPO ([Chowdhury et al., 2024](https://arxiv.org/abs/2403.00409))",
    "sppo_hard": "the loss of SPPO ([Wu et al., 2024](https://arxiv.org/abs/2405.00675)) for certain preferences",
    "nca_pair": "noise contrastive alignment ([Chen et al., 2024](https://arxiv.org/abs/2402.05369))",
    "kto_pair": "the loss of KTO ([Ethayarajh et al., 2024](https://arxiv.org/abs/2402.01306)) on pairs",
}
OWN_CODE = (
    "transformers loads it by the Python code that the base's authors publish, hence `trust_remote_code` below: read "
    "that code before you let it run."
)
RESULTS = {
    "loss": "Loss",
    "rewards/accuracies": "Pairs in which the chosen answer wins",
    "rewards/margins": "Reward margin between chosen and rejected",
    "rewards/chosen": "Reward of the chosen answers",
    "rewards/rejected": "Reward of the rejected answers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Everything a card says."""

    config: Config
    base: ResolvedModel
    step: int
    epoch: float
    metrics: Mapping[str, float]
    """Of the checkpoint: eval metrics, named eval_..."""
    steps: Sequence[Mapping[str, Any]]
    """Step events of the run."""
    evals: Sequence[Mapping[str, Any]]
    """Eval events of the run."""
    dtype: str
    adapter: bool
    chat: bool
    """Whether the tokenizer has a chat template."""
    repo: str | None
    """Where it will be pushed, for the snippet."""
    proof: Proof | None = None
    own_code: bool = False
    code_revision: str | None = None
    family: str | None = None
    four_bits: str | None = None
    """These four as `loading_snippet` takes them."""


def write_card(folder: Path, facts: CardFacts) -> None:
    """Writes README.md, and curves.png if there are steps to draw."""
    curves = any(isinstance(event.get("loss"), int | float) for event in facts.steps)
    if curves:
        draw_curves(folder / CURVES, facts.steps, facts.evals)
    (folder / "README.md").write_bytes(card_text(facts, curves).encode())


def card_text(facts: CardFacts, curves: bool) -> str:
    """The card: YAML front matter that any value survives, then Markdown."""
    sections = [
        f"# {_title(facts)}",
        _what_was_done(facts),
        OWN_CODE if facts.own_code else "",
        facts.proof.sentence() if facts.proof else "",
        _results(facts),
        f"![Loss, margin and accuracy over the steps]({CURVES})" if curves else "",
        _usage(facts),
        _configuration(facts.config),
    ]
    body = "\n\n".join(section for section in sections if section)
    return f"---\n{front_matter(_metadata(facts))}---\n\n{body}\n"


def front_matter(metadata: Mapping[str, str | list[str]]) -> str:
    """YAML that every reader takes for the same values, whatever they hold: each is one quoted line."""
    lines = []
    for name, value in metadata.items():
        if isinstance(value, str):
            lines.append(f"{name}: {_yaml_text(value)}")
        else:
            lines += [f"{name}:", *(f"- {_yaml_text(item)}" for item in value)]
    return "\n".join(lines) + "\n"


def _yaml_text(text: str) -> str:
    """A double-quoted scalar. What no line can show is escaped: YAML 1.1 takes even U+0085 for the end of a line."""
    return '"' + "".join(map(_yaml_char, text)) + '"'


def _yaml_char(char: str) -> str:
    if char in ('"', "\\"):
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _metadata(facts: CardFacts) -> dict[str, str | list[str]]:
    on_hub = facts.base.source in ("hub", "builtin")  # readers of this key look on the Hugging Face hub alone
    base = facts.base.public_id if on_hub else None
    found = {
        "base_model": base,
        "datasets": [source.path for source in facts.config.data.sources if source.source == "hub"],
        "license": _license(facts.base),
        "library_name": "peft" if facts.adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["dpo", "dpo-tui", "preference-optimization", *(["lora"] if facts.adapter else [])],
    }
    return {name: value for name, value in found.items() if value}


def _license(base: ResolvedModel) -> str | None:
    """The base's, where it says so: a derived model inherits it."""
    if base.source == "builtin":
        return builtin_model(base.id).license
    with suppress(Exception):  # somebody else's card may hold anything
        value = ModelCard.load(base.path / "README.md", ignore_metadata_errors=True).data.license
        return value if isinstance(value, str) else None
    return None


def _title(facts: CardFacts) -> str:
    name = facts.repo.rsplit("/", 1)[-1] if facts.repo else facts.config.run.name
    return quoted(name or f"{facts.base.public_id.rsplit('/', 1)[-1]}-dpo")


def _what_was_done(facts: CardFacts) -> str:
    config, lora = facts.config, facts.config.model.lora
    how = f"low-rank adapters of rank {lora.rank}" if lora else "all weights"
    if config.model.quantization:
        how += ", on the base in 4 bits (NF4, doubly quantised: [QLoRA](https://arxiv.org/abs/2305.14314))"
    state = _state(facts) if lora else ""
    exact = f" (commit `{facts.base.commit[:12]}`)" if facts.base.commit else ""
    if facts.base.gguf_file:
        exact = f" (unpacked from {quoted(facts.base.gguf_file)})"
    sources = ", ".join(
        _named(s.source, _public_path(s.source, s.path), "dataset") for s in config.data.sources
    )
    return (
        f"{_named(facts.base.source, facts.base.public_id, 'model')}{exact}, trained further on preference pairs with "
        f"{LOSSES[config.objective.loss]}: of two answers to a prompt it now leans towards the preferred "
        f"one, and is held near the base model by beta = {config.objective.beta:g}.\n\n"
        f"Trained: {how}, {facts.step} steps of {config.train.pairs_per_step} pairs "
        f"({facts.epoch:.2f} epochs), "
        f"peak learning rate {config.optimizer.learning_rate:g}.{state} Pairs: {sources}. "
        f"Weights are stored in {facts.dtype}. Made with dpo-tui."
    )


def _state(facts: CardFacts) -> str:
    """Where the adapters are, and on which weights they are the model that was trained."""
    quantized = facts.config.model.quantization is not None
    if facts.adapter:
        return " This is the adapter alone." + (
            " It belongs on its base in 4 bits, as it is loaded below; on the unquantised base it is another model."
            if quantized
            else ""
        )
    if not quantized:
        return " They are merged into the base."
    return (
        " They are merged into the numbers that the base's 4 bits stand for: the model that was trained, rounding of "
        "4 bits included, and not the unquantised base with the adapters on it."
    )


def _results(facts: CardFacts) -> str:
    last = facts.steps[-1] if facts.steps else {}
    rows = [
        (label, last.get(name), facts.metrics.get(f"eval_{name}"))
        for name, label in RESULTS.items()
        if is_number(last.get(name)) or is_number(facts.metrics.get(f"eval_{name}"))
    ]
    if not rows:
        return ""
    lines = [f"| {label} | {_number(train)} | {_number(held_out)} |" for label, train, held_out in rows]
    return "\n".join(
        ["## Results", "", "| | training, last step | held-out pairs |", "|---|---|---|", *lines]
    )


def _usage(facts: CardFacts) -> str:
    code = loading_snippet(
        facts.repo or ".",
        adapter=facts.adapter,
        chat=facts.chat,
        own_code=facts.own_code,
        code_revision=facts.code_revision,
        family=facts.family,
        four_bits=facts.four_bits,
    )
    return f"## Use\n\n{fenced(code, 'python')}"


def _configuration(config: Config) -> str:
    return f"## Configuration\n\n{fenced(resolved_toml(without_places(config)).strip(), 'toml')}"


def without_places(config: Config) -> Config:
    """The config with every local path cut to its last name: no directories, no user names."""
    data = config.model_dump()
    data["run"].pop("dir")
    data["export"].pop("to")
    data["model"]["id"] = _public_path(config.model.source, config.model.id)
    for source in data["data"]["sources"]:
        source["path"] = _public_path(source["source"], source["path"])
    if template := config.data.chat_template:
        data["data"]["chat_template"] = Path(template).name
    return Config.model_validate(data)


def _public_path(source: str, path: str) -> str:
    return (Path(path).name or "folder") if source == "local" else path


def _named(source: str, name: str, kind: Kind) -> str:
    """A name as code. Where ModelScope has it, with a link: by the name alone it would be looked for elsewhere."""
    if source != "modelscope":
        return quoted(name)
    return f"{quoted(name)} on [ModelScope]({ScopeRepo(quote(name), kind).page})"


def quoted(text: str) -> str:
    """Untrusted text as Markdown code: shown as it is, on one line, whatever it holds."""
    line = "".join(char if char.isprintable() else " " for char in text)
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if line[:1] in ("`", " ") or line[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def fenced(text: str, language: str) -> str:
    """A code block that its content cannot close."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "–"
