"""A small InternLM2 on disk as its authors publish theirs: their names, their config, their tokenizer, their code."""

import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file
from torch import Tensor

CORPUS = [
    "The quick brown fox jumps over the lazy dog. What colour is the sky? It is blue, and the grass is green.",
    "def add(a, b):\n    return a + b\n\nfor i in range(10):\n    print(add(i, i), '\\t', i ** 2)",
    "\u5929\u7a7a\u662f\u84dd\u8272\u7684\uff0c\u8349\u662f\u7eff\u8272\u7684\u3002\u4f60\u597d\uff0c\u4e16\u754c\uff01\u6211\u4eec\u53bb\u516c\u56ed\u5427\u3002",
    "Tell me a story about the sea.  The sea is deep and the sea is blue;   the ships go 1,234 miles to the north.",
]
UNUSED = [f"[UNUSED_TOKEN_{number}]" for number in (141, 142, 143, 144, 145, 146)]
NAMES = ["<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>", "<|im_end|>", "<|im_start|>"]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CODE = "raise RuntimeError('code of the repo was run')\n"
AUTO_MAP = {
    "AutoConfig": "configuration_internlm2.InternLM2Config",
    "AutoModel": "modeling_internlm2.InternLM2ForCausalLM",
    "AutoModelForCausalLM": "modeling_internlm2.InternLM2ForCausalLM",
}
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
}
"""The 1.8B's ratios: two query heads for each key head, four times as wide inside."""


def train_tokenizer(path: Path, *, dummy_prefix: bool = True) -> Path:
    """A BPE vocabulary of a few hundred pieces with bytes and unused names, as InternLM2's is made."""
    sentences = [line for text in CORPUS for line in text.split("\n") if line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 4),
        model_prefix=str(path.with_suffix("")),
        vocab_size=420,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        character_coverage=0.99,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        add_dummy_prefix=dummy_prefix,
        user_defined_symbols=UNUSED,
        num_threads=1,
        minloglevel=2,
    )
    return path


def write_internlm2(
    folder: Path,
    *,
    dummy_prefix: bool = True,
    bias: bool = False,
    rope_scaling: dict[str, Any] | None = None,
    shards: int = 2,
    dtype: torch.dtype = torch.float32,
    **changes: Any,
) -> Path:
    """The whole folder; its Python files must never be run."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(folder / "tokenizer.model", dummy_prefix=dummy_prefix)
    tokenizer.with_suffix(".vocab").unlink()
    words = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    ids = {words.piece_to_id(old): new for old, new in zip(UNUSED, NAMES, strict=True)}
    config = {
        "architectures": ["InternLM2ForCausalLM"],
        "auto_map": AUTO_MAP,
        "bias": bias,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "model_type": "internlm2",
        "rms_norm_eps": 1e-5,
        "rope_scaling": rope_scaling,
        "rope_theta": 1000000,
        "tie_word_embeddings": False,
        "torch_dtype": str(dtype).removeprefix("torch."),
        "transformers_version": "4.33.2",
        "use_cache": True,
        "vocab_size": words.vocab_size() + 4,
        **SIZES,
        **changes,
    }
    _write_json(folder / "config.json", config)
    end = next(number for number, name in ids.items() if name == "<|im_end|>")
    _write_json(folder / "generation_config.json", {"eos_token_id": [2, end], "pad_token_id": 2})
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(ids))
    for name in ("configuration_internlm2", "modeling_internlm2", "tokenization_internlm2"):
        (folder / f"{name}.py").write_text(CODE)
    _write_weights(folder, random_weights(config, dtype), shards)
    return folder


def random_weights(config: dict[str, Any], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Every tensor of the original, under its name there."""
    g = torch.Generator().manual_seed(0)
    hidden, wide, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = hidden // config["num_attention_heads"]
    rows = (config["num_attention_heads"] + 2 * config["num_key_value_heads"]) * head

    def draw(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=g) * 0.1).to(dtype)

    weights = {
        "model.tok_embeddings.weight": draw(vocabulary, hidden),
        "output.weight": draw(vocabulary, hidden),
    }
    weights["model.norm.weight"] = 1 + draw(hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        weights |= {
            f"{at}.attention.wqkv.weight": draw(rows, hidden),
            f"{at}.attention.wo.weight": draw(hidden, hidden),
            f"{at}.feed_forward.w1.weight": draw(wide, hidden),
            f"{at}.feed_forward.w2.weight": draw(hidden, wide),
            f"{at}.feed_forward.w3.weight": draw(wide, hidden),
            f"{at}.attention_norm.weight": 1 + draw(hidden),
            f"{at}.ffn_norm.weight": 1 + draw(hidden),
        }
        if config["bias"]:
            weights |= {f"{at}.attention.wqkv.bias": draw(rows), f"{at}.attention.wo.bias": draw(hidden)}
    return weights


def _tokenizer_config(ids: dict[int, str]) -> dict[str, Any]:
    special = {"0": "<unk>", "1": "<s>", "2": "</s>", **{str(number): name for number, name in ids.items()}}
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {
        "added_tokens_decoder": {number: {"content": name, **flags} for number, name in special.items()},
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>", *NAMES[:4]],
        "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]},
        "bos_token": "<s>",
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "model_max_length": 1000000000000000019884624838656,
        "pad_token": "</s>",
        "tokenizer_class": "InternLM2Tokenizer",
        "unk_token": "<unk>",
    }


def _write_weights(folder: Path, weights: dict[str, Tensor], shards: int) -> None:
    names = sorted(weights)
    where: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors" if shards > 1 else "model.safetensors"
        part = names[shard::shards]
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    if shards > 1:
        size = sum(tensor.nbytes for tensor in weights.values())
        index = {"metadata": {"total_size": size}, "weight_map": where}
        _write_json(folder / "model.safetensors.index.json", index)


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
