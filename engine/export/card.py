"""The model card of an export: what was done, to what, with what result, in words and curves.

A card is published: it names no directory of this machine, and what came from outside is quoted, never markup.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from engine.config.load import resolved_toml
from engine.config.schema import Config
from engine.export.curves import draw_curves, is_number
from engine.export.proof import Proof
from engine.models.builtin import builtin_model
from engine.models.resolve import ResolvedModel

CURVES = "curves.png"
LOSSES = {
    "sigmoid": "DPO ([Rafailov et al., 2023](https://arxiv.org/abs/2305.18290))",
    "ipo": "IPO ([Azar et al., 2023](https://arxiv.org/abs/2310.12036))",
    "hinge": "the hinge loss of SLiC-HF ([Zhao et al., 2023](https://arxiv.org/abs/2305.10425))",
}
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
    base = facts.base.public_id if facts.base.source != "local" else None
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
    state = (
        ""
        if not lora
        else " This is the adapter alone."
        if facts.adapter
        else " They are merged into the base."
    )
    exact = f" (commit `{facts.base.commit[:12]}`)" if facts.base.commit else ""
    if facts.base.gguf_file:
        exact = f" (unpacked from {quoted(facts.base.gguf_file)})"
    sources = ", ".join(quoted(_public_path(s.source, s.path)) for s in config.data.sources)
    return (
        f"{quoted(facts.base.public_id)}{exact}, trained further on preference pairs with "
        f"{LOSSES[config.objective.loss]}: of two answers to a prompt it now leans towards the preferred "
        f"one, and is held near the base model by beta = {config.objective.beta:g}.\n\n"
        f"Trained: {how}, {facts.step} steps of {config.train.pairs_per_step} pairs "
        f"({facts.epoch:.2f} epochs), "
        f"peak learning rate {config.optimizer.learning_rate:g}.{state} Pairs: {sources}. "
        f"Weights are stored in {facts.dtype}. Made with dpo-tui."
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
    path = facts.repo or "."
    loader = "AutoPeftModelForCausalLM" if facts.adapter else "AutoModelForCausalLM"
    imports = (
        "from peft import AutoPeftModelForCausalLM\nfrom transformers import AutoTokenizer"
        if facts.adapter
        else "from transformers import AutoModelForCausalLM, AutoTokenizer"
    )
    inputs = (
        'messages = [{"role": "user", "content": "What is the capital of France?"}]\n'
        "inputs = tokenizer.apply_chat_template(\n"
        '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"\n'
        ")"
        if facts.chat
        else 'inputs = tokenizer("The capital of France is", return_tensors="pt")'
    )
    code = (
        f"{imports}\n\n"
        f"path = {path!r}\n"
        "tokenizer = AutoTokenizer.from_pretrained(path)\n"
        f'model = {loader}.from_pretrained(path, dtype="auto")\n'
        f"{inputs}\n"
        "answer = model.generate(**inputs, max_new_tokens=100)\n"
        'print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
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
