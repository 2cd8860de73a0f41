"""Rows of the table: the model, its adapters, and its reference."""

from collections.abc import Iterator, Mapping

from dpo_tui.importing.findings import Finding, Origin, Remark, Taken
from dpo_tui.importing.settings import Settings, origin, source_of
from dpo_tui.importing.values import Called, Symbol, Value

LLM = "model.llm"
ID = f"{LLM}.pretrained_model_name_or_path"
LORA = "model.lora"
QUANTIZATION = f"{LLM}.quantization_config"

_INTERNLM2 = {
    "wqkv": ("q_proj", "k_proj", "v_proj"),
    "wo": ("o_proj",),
    "w1": ("gate_proj",),
    "w3": ("up_proj",),
    "w2": ("down_proj",),
}
"""InternLM2's own names of its layers, and those it has as the Llama it is trained as."""

_DTYPES = {
    "float16": "auto",
    "half": "auto",
    "bfloat16": "bfloat16",
    "float32": "float32",
    "float": "float32",
}
_PLAIN_ADAPTER = {"bias": "none", "use_dora": False, "use_rslora": False, "init_lora_weights": True}
"""Settings of peft's LoraConfig that change what is trained, with the one value that is the same here."""


def model_id(settings: Settings) -> Iterator[Finding]:
    """The repo or folder of the weights; the tokenizer and the reference must be of the same."""
    name = _named(settings, ID)
    if name is None:
        return
    found, written, hub = name
    source = hub or _resource(settings) or source_of(found)
    yield Taken("model.source", source, (written,))
    yield Taken("model.id", found, (written,))
    for path in ("tokenizer.pretrained_model_name_or_path", "model.ref_llm.pretrained_model_name_or_path"):
        other = settings.find(path)
        if other is not None and _repo(other)[0] != found:
            code = "tokenizer" if path.startswith("tokenizer") else "reference"
            yield Remark("lost", code, path, other.place, {"model": found})
    yield from _revision(settings)


def _revision(settings: Settings) -> Iterator[Finding]:
    """The branch, tag or commit that the model is loaded at, or downloaded at."""
    value = settings.find(ID)
    called = (
        value.data.named.get("revision") if value is not None and isinstance(value.data, Called) else None
    )
    if called is not None and (text := _text(called)) is not None:
        yield Taken("model.revision", text, (origin(ID, called),))
        return
    for path in (f"{LLM}.revision", "model_resource.args.revision"):
        if (revision := settings.take(path, str)) is not None:
            yield Taken("model.revision", revision[0], (revision[1],))
            return


def remote_code(settings: Settings) -> Iterator[Finding]:
    """Never taken over: code from a repo runs only at a commit that somebody has read."""
    trusted = settings.take(f"{LLM}.trust_remote_code", bool)
    if trusted is not None and trusted[0]:
        yield Remark("differs", "remote_code", "model.trust_remote_code", trusted[1].place)


def dtype(settings: Settings) -> Iterator[Finding]:
    """What is computed in: that of the mixed precision if there is one, else that of the weights."""
    mixed = settings.symbol("optim_wrapper.type")
    weights = settings.symbol(f"{LLM}.torch_dtype")
    path = f"{LLM}.torch_dtype"
    computing = weights
    if mixed is not None and mixed.last == "AmpOptimWrapper":
        asked = settings.symbol("optim_wrapper.dtype")
        path = "optim_wrapper.dtype" if asked else "optim_wrapper.type"
        computing = asked or Symbol("float16")
    if computing is None:
        return
    value = settings.find(path)
    assert value is not None
    word = computing.last
    if word in _DTYPES:
        yield Taken("model.dtype", _DTYPES[word], (origin(path, value),))
        if _DTYPES[word] == "auto":
            yield Remark("differs", "float16", "model.dtype")
    elif word != "auto":
        yield Remark("lost", "dtype", path, value.place, {"found": word})


def recomputing(settings: Settings) -> Iterator[Finding]:
    """XTuner recomputes activations unless it is told not to; a choice of memory, which changes no result."""
    asked = settings.take("model.use_activation_checkpointing", bool)
    if asked is None:
        yield Remark("differs", "checkpointing", "train.gradient_checkpointing")
    else:
        yield Taken("train.gradient_checkpointing", asked[0], (asked[1],))


def adapters(settings: Settings) -> Iterator[Finding]:
    """peft's LoraConfig, whose defaults are not ours."""
    lora = settings.find(LORA)
    if lora is None or lora.data is None:
        return
    if not isinstance(lora.data, Mapping):
        settings.lose(LORA, lora)
        return
    rank, alpha = settings.take(f"{LORA}.r", int), settings.take(f"{LORA}.lora_alpha", float)
    dropout = settings.take(f"{LORA}.lora_dropout", float)
    default = (Origin(LORA, lora.place),)
    yield Taken("model.lora.rank", rank[0] if rank else 8, (rank[1],) if rank else default)
    yield Taken("model.lora.alpha", alpha[0] if alpha else 8.0, (alpha[1],) if alpha else default)
    yield Taken("model.lora.dropout", dropout[0] if dropout else 0.0, (dropout[1],) if dropout else default)
    yield from _targets(settings)
    settings.see(f"{LORA}.type", f"{LORA}.task_type", f"{LORA}.inference_mode")
    settings.see(*(f"{LORA}.{name}" for name in _PLAIN_ADAPTER))
    for name, same in _PLAIN_ADAPTER.items():
        value = settings.find(f"{LORA}.{name}")
        if value is not None and value.data not in (same, None):
            yield Remark("lost", "adapter", f"{LORA}.{name}", value.place)


def _targets(settings: Settings) -> Iterator[Finding]:
    path = f"{LORA}.target_modules"
    value = settings.find(path)
    if value is None or value.data is None:
        return
    entries = value.data if isinstance(value.data, tuple) else (value,)
    names = [name for entry in entries if (name := _text(entry)) is not None]
    if len(names) < len(entries):
        settings.lose(path, value)
    elif isinstance(value.data, str) and names != ["all-linear"]:
        yield Remark("lost", "pattern", path, value.place)
    else:
        split = [ours for name in names for ours in _INTERNLM2.get(name, (name,))]
        yield Taken(
            "model.lora.targets", "all-linear" if names == ["all-linear"] else split, (origin(path, value),)
        )
        if split != names:
            yield Remark("differs", "targets", "model.lora.targets")


def quantization(settings: Settings) -> Iterator[Finding]:
    """QLoRA's four bits, and no other kind."""
    value = settings.find(QUANTIZATION)
    if value is None or value.data is None:
        return
    if not isinstance(value.data, Mapping):
        settings.lose(QUANTIZATION, value)
        return
    four = settings.take(f"{QUANTIZATION}.load_in_4bit", bool)
    kind = settings.take(f"{QUANTIZATION}.bnb_4bit_quant_type", str)
    lora = settings.find(LORA)
    if four is None or not four[0] or (kind[0] if kind else "fp4") != "nf4":
        yield Remark("lost", "quantization", QUANTIZATION, value.place)
    elif lora is None or lora.data is None:
        yield Remark("lost", "quantized_whole", QUANTIZATION, value.place)
    else:
        yield Taken("model.lora.quantization", "nf4", (four[1],))
        yield Remark("differs", "four_bits", "model.lora.quantization")
    computing = ("bnb_4bit_compute_dtype", "bnb_4bit_use_double_quant", "bnb_4bit_quant_storage")
    settings.pass_over(*(f"{QUANTIZATION}.{name}" for name in computing))
    settings.see(QUANTIZATION)


def about_model(settings: Settings) -> Iterator[Finding]:
    """What else a model of XTuner can be told, and what of it is chosen here without being told."""
    for path in ("model.pretrained_pth", "load_from"):
        value = settings.find(path)
        if value is not None and value.data is not None:
            yield Remark("lost", "weights", path, value.place)
    template = settings.find("prompt_template")
    if template is not None and template.data is not None:
        yield Remark("differs", "template", "data.chat_template", template.place)
    settings.pass_over("tokenizer", f"{LLM}.attn_implementation")
    settings.see("model.type", f"{LLM}.type", "model.ref_llm", "model.use_varlen_attn", "model_resource")
    settings.see(ID, "pretrained_model_name_or_path", "model.pretrained_pth", "load_from", "prompt_template")


def _named(settings: Settings, path: str) -> tuple[str, Origin, str] | None:
    """A repo or folder, where it was written, and the hub that a download of it names."""
    value = settings.find(path)
    if value is None or value.data is None:
        return None
    name, hub = _repo(value)
    if name is None:
        settings.lose(path, value)
        return None
    return name, origin(path, value), hub


def _repo(value: Value) -> tuple[str | None, str]:
    """The repo or folder that a text is, or that a call would download from a hub; and that hub."""
    if not isinstance(value.data, Called):
        return _text(value), ""
    if not value.data.function.endswith("snapshot_download"):
        return None, ""
    named = (value.data.named.get(key) for key in ("model_id", "repo_id"))
    repo = next((one for one in (*value.data.arguments[:1], *named) if one is not None), None)
    return None if repo is None else _text(repo), _hub(value.data.function)


def _resource(settings: Settings) -> str:
    """The hub that `model_resource` fetches every model from, if there is one."""
    download = settings.symbol("model_resource.fn")
    return "" if download is None else _hub(download.dotted)


def _hub(function: str) -> str:
    """Whose function it is."""
    return "modelscope" if function.partition(".")[0] == "modelscope" else "hub"


def _text(value: Value) -> str | None:
    return value.data if isinstance(value.data, str) else None
