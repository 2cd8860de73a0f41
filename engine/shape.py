"""What of a model decides how much memory and time it takes: sizes out of its config, no weight read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

NAMES = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head"),
    "vocabulary": ("vocab_size",),
}
"""Of the sizes without which nothing can be told, as models' configs have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a decoder. `parameters` counts each tied weight once."""

    parameters: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    """Width a token passes through in a feed-forward layer, over all experts it is sent to."""
    vocabulary: int
    tied: bool

    @property
    def queries(self) -> int:
        """Width of all query heads."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads, and of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def embedding(self) -> int:
        """Weights of the input embedding; the head has as many."""
        return self.vocabulary * self.hidden

    @property
    def linears(self) -> int:
        """Weights of all linear layers but the head, if they are those of a Llama."""
        attention = 2 * self.hidden * (self.queries + self.keys)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    def adapters(self, rank: int, targets: list[str] | None = None) -> int:
        """Weights of low-rank adapters on the linear layers `targets`; all but the head without."""
        hidden, queries, keys, wide = self.hidden, self.queries, self.keys, self.intermediate
        sides = {
            "q_proj": hidden + queries,
            "k_proj": hidden + keys,
            "v_proj": hidden + keys,
            "o_proj": queries + hidden,
            "gate_proj": hidden + wide,
            "up_proj": hidden + wide,
            "down_proj": wide + hidden,
        }
        known = [sides[name] for name in targets or () if name in sides]
        return rank * self.layers * sum(known or sides.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def shape_of(config: Mapping[str, Any], parameters: int | None = None) -> ModelShape | None:
    """The shape that a model's config.json describes; None where it lacks a size that nothing can be told without.

    Without `parameters` they are counted as those of a Llama of these sizes.
    """
    config = _of_text(config)
    sizes = {name: _first(config, keys) for name, keys in NAMES.items()}
    if not all(sizes.values()):
        return None
    layers, hidden, heads, vocabulary = (sizes[name] or 0 for name in NAMES)
    shape = ModelShape(
        parameters=parameters or 0,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=_first(config, ("num_key_value_heads",)) or heads,
        head_dim=_first(config, ("head_dim",)) or hidden // heads,
        intermediate=_intermediate(config) or 4 * hidden,
        vocabulary=vocabulary,
        tied=config.get("tie_word_embeddings", True) is not False,
    )
    if parameters:
        return shape
    norms = hidden * (2 * layers + 1)
    counted = shape.linears + norms + shape.embedding * (1 if shape.tied else 2)
    return ModelShape(**{**shape.to_json(), "parameters": counted})


def _of_text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a model of text and pictures that is about text."""
    text = config.get("text_config")
    return text if isinstance(text, Mapping) else config


def _intermediate(config: Mapping[str, Any]) -> int | None:
    experts = _first(config, ("num_experts_per_tok",))
    if experts and (width := _first(config, ("moe_intermediate_size", "intermediate_size"))):
        return experts * width
    return _first(config, ("intermediate_size", "n_inner", "ffn_dim"))


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of these that is a positive whole number."""
    values = (config.get(name) for name in names)
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0), None)
