"""A fresh process that opens an export as anybody would, with plain transformers, and says what it finds.

It knows nothing of the training: it gets a folder, three prompts as token ids, and the numerics to compute in (threads,
attention). What both sides must compute alike stands here once: `compute`, `marks`, `ties`, `config_values`.
"""

import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import engine.before_libraries  # noqa: F401  (before them)  # isort: skip
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from engine.models.families import family_in
from engine.models.fingerprint import VOLATILE, tensor_bytes
from engine.models.generation import generation_values
from engine.precision import processor_has_bf16
from engine.process import ProcessId, leave, parent_death_signal

ALIGNMENT = 64
"""Bytes: linear algebra libraries promise equal results only for equally aligned numbers."""

NO_MEMORY = 9
"""Exit code of a reader that could not get the memory it needs."""

PACKAGES = ("dpo-tui", "torch", "transformers", "tokenizers", "safetensors", "peft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the reader is asked to open and to compute."""

    folder: str
    base: str | None
    """The base model's folder or GGUF file for an adapter; None for a whole model."""
    quantization: str | None
    """What the adapter's base is stored in; None for plain fp32."""
    prompts: list[list[int]]
    texts: list[str]
    attention: str | None
    threads: int
    trust_remote_code: bool


def main(argv: Sequence[str]) -> int:
    """`python -m engine.export.reading FOLDER PID:START`: reads request.json, writes seen.json and the logits."""
    pid, _, start = argv[1].partition(":")
    parent_death_signal(ProcessId(int(pid), float(start)))
    place = Path(argv[0])
    request = Request(**json.loads((place / "request.json").read_bytes()))
    try:
        seen, logits = read(request)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            return NO_MEMORY
        raise
    save_file({str(number): tensor for number, tensor in enumerate(logits)}, place / "logits.safetensors")
    (place / "seen.json").write_text(json.dumps(seen))
    return 0


def read(request: Request) -> tuple[dict[str, Any], list[Tensor]]:
    """What the folder holds, in JSON's types, and the logits of each prompt."""
    with plain_numerics(request.threads):
        model, info = _load(request)
        tokenizer = open_tokenizer(Path(request.folder), request.trust_remote_code)
        _align(model)
        seen = {
            "loading": {key: sorted(map(str, value)) for key, value in info.items() if value},
            "tensors": marks(model),
            "ties": ties(model),
            "chat_template": tokenizer.chat_template,
            "eos": tokenizer.eos_token_id,
            "ids": tokenised(tokenizer, request.texts),
            "config": None if request.base else config_values(model.config),
            "generation": None if request.base else generation_values(model.generation_config),
            "versions": {"python": platform.python_version(), **_versions(request)},
        }
        return seen, compute(model, request.prompts)


def _versions(request: Request) -> dict[str, str]:
    packages = PACKAGES if request.quantization is None else (*PACKAGES, "bitsandbytes")
    return {name: version(name) for name in packages}


def open_tokenizer(folder: Path, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """The tokenizer of an exported folder."""
    if family := family_in(folder):
        return family.load_tokenizer(folder)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        str(folder), trust_remote_code=trust_remote_code
    )
    return tokenizer


def _load(request: Request) -> tuple[Any, dict[str, Any]]:
    """The model, and transformers' word on names that are missing or too many."""
    if request.base is None:
        return _from_folder(request.folder, "auto", request)
    from peft import PeftModel

    base, info = _base(Path(request.base), request)
    return PeftModel.from_pretrained(base, request.folder).eval(), info


def _base(path: Path, request: Request) -> tuple[Any, dict[str, Any]]:
    """What the adapter was trained on, in fp32 or in 4 bits. transformers alone reads some GGUF files as another model.

    bitsandbytes alone makes 4 bits of a weight that depend, in their last bit, on the number of threads.
    """
    if not path.is_file():
        if request.quantization is None:
            return _from_folder(str(path), torch.float32, request)
        from engine.models.nf4 import load_nf4

        family_in(path)  # makes transformers know it
        return load_nf4(str(path), trust_remote_code=request.trust_remote_code, **_attention(request))
    from engine.models.gguf import load_gguf_model
    from engine.models.nf4 import quantize

    model, info = load_gguf_model(path)
    if request.quantization is not None:
        quantize(model)
    return model, info


def _from_folder(folder: str, dtype: torch.dtype | str, request: Request) -> tuple[Any, dict[str, Any]]:
    family_in(Path(folder))  # makes transformers know it
    model, info = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=request.trust_remote_code,
        output_loading_info=True,
        **_attention(request),
    )
    return model, info


def _attention(request: Request) -> dict[str, str]:
    return {"attn_implementation": request.attention} if request.attention else {}


@contextmanager
def plain_numerics(threads: int) -> Iterator[None]:
    """Within it a CPU computes as it does in any fresh process, on so many threads."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.set_num_threads(before)


def compute(model: nn.Module, prompts: list[list[int]]) -> list[Tensor]:
    """The logits [n, V] of each prompt of n tokens, each in a pass of its own.

    Where the processor has no instructions for bf16 they are computed in fp32, with the same weights.
    """
    with nullcontext() if processor_has_bf16() else _widened(model):
        return [
            model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].contiguous() for ids in prompts
        ]


@contextmanager
def _widened(model: nn.Module) -> Iterator[None]:
    """Within it what is bf16 in a model is fp32; afterwards it is, bit for bit, what it was."""
    narrow = [t for t in chain(model.parameters(), model.buffers()) if t.dtype == torch.bfloat16]
    for tensor in narrow:
        tensor.data = tensor.data.float()
    try:
        yield
    finally:
        for tensor in narrow:
            tensor.data = tensor.data.bfloat16()


def marks(model: nn.Module) -> dict[str, str]:
    """Type, shape and sha256 of every tensor that is stored: equal marks are equal weights, bit for bit."""
    known: dict[tuple[int, torch.Size], str] = {}
    found = {}
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            continue
        place = (tensor.data_ptr(), tensor.shape)
        if place not in known:
            shape = "x".join(map(str, tensor.shape))
            digest = hashlib.sha256(tensor_bytes(tensor)).hexdigest()
            known[place] = f"{str(tensor.dtype).removeprefix('torch.')} {shape} {digest}"
        found[name] = known[place]
    return found


def config_values(config: PretrainedConfig) -> dict[str, Any]:
    """All that a config says of a model, in JSON's types and as its class reads it; not how it is stored."""
    values = json.loads(json.dumps(config.to_dict(), default=str))
    again = json.dumps(type(config).from_dict(values).to_dict(), default=str)
    return {name: value for name, value in json.loads(again).items() if name not in VOLATILE}


def ties(model: nn.Module) -> list[list[str]]:
    """The groups of names that are one parameter."""
    groups: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return sorted(sorted(names) for names in groups.values() if len(names) > 1)


def tokenised(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text, with whatever the tokenizer puts around one."""
    return [list(map(int, tokenizer(text).input_ids)) for text in texts]


def _align(model: nn.Module) -> None:
    """Moves weights that lie in a mapped file, at any address, to where a fresh tensor lies."""
    for parameter in model.parameters():
        if parameter.data_ptr() % ALIGNMENT:
            parameter.data = parameter.data.clone()


def request_json(request: Request) -> str:
    """The request as the reader gets it."""
    return json.dumps(asdict(request))


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
