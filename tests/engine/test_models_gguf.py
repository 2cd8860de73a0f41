"""GGUF files: read exactly as transformers reads them, or refused in one line."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.schema import Model
from engine.exits import UnusableError
from engine.models import gguf as ours
from engine.models.gguf_file import read_header
from engine.models.gguf_llama import is_plain_llama
from engine.models.load import load_model, load_tokenizer

SHAPES = {
    "attn_q": (64, 64),
    "attn_k": (32, 64),
    "attn_v": (32, 64),
    "attn_output": (64, 64),
    "ffn_gate": (96, 64),
    "ffn_up": (96, 64),
    "ffn_down": (64, 96),
    "attn_norm": (64,),
    "ffn_norm": (64,),
}


def write_llama(path: Path, kind: Kind, *, tied: bool, extra: tuple[str, ...] = ()) -> Path:
    """Two layers, four heads over two, quantised as `kind`; `extra` tensors of one number come on top."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(16)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(40)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_name("tiny")
    rng = np.random.default_rng(0)
    shapes = {f"blk.{n}.{name}.weight": shape for n in range(2) for name, shape in SHAPES.items()}
    shapes |= {"token_embd.weight": (40, 64), "output_norm.weight": (64,)}
    shapes |= {} if tied else {"output.weight": (40, 64)}
    for name, shape in [*shapes.items(), *((name, (1,)) for name in extra)]:
        values = rng.normal(0, 0.3, shape).astype(np.float32)
        use = kind if len(shape) == 2 else Kind.F32
        writer.add_tensor(name, gguf.quants.quantize(values, use), raw_dtype=use)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.Q8_0, Kind.Q4_1, Kind.Q5_0])
@pytest.mark.parametrize("tied", [True, False])
def test_llama_is_bit_for_bit_what_transformers_reads(tmp_path: Path, kind: Kind, tied: bool) -> None:
    path = write_llama(tmp_path / "tiny.gguf", kind, tied=tied)
    assert is_plain_llama(read_header(path))
    model, info = ours.load_gguf_model(path)
    theirs, _ = ours._load_by_transformers(path)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    expected = dict(theirs.named_parameters())
    assert expected.keys() == dict(model.named_parameters()).keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.named_parameters())
    ids = torch.arange(3, 30)[None]
    assert torch.equal(model(ids).logits, theirs.eval()(ids).logits)


def test_config_is_what_transformers_reads(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tiny.gguf", Kind.F16, tied=True)
    theirs, _ = ours._load_by_transformers(path)
    ours._forget_quantization(theirs)
    ours._shorten_floats(theirs)
    assert ours.load_gguf_model(path)[0].config.to_dict() == theirs.config.to_dict()


def test_unknown_tensors_go_the_long_way(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tiny.gguf", Kind.F32, tied=True, extra=("blk.0.attn_q.bias",))
    assert not is_plain_llama(read_header(path))


def test_stretched_positions_are_refused_and_not_dropped(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tiny.gguf", Kind.F32, tied=True, extra=("rope_freqs.weight",))
    with pytest.raises(UnusableError, match="rope scaling") as caught:
        load_model(local(path))
    assert caught.value.code == "model.gguf_rope"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_file_cut_off_anywhere_is_an_error(tmp_path: Path, share: float) -> None:
    path = write_llama(tmp_path / "tiny.gguf", Kind.Q8_0, tied=False)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnusableError) as caught:
        load_model(local(path))
    assert "\n" not in caught.value.text
    assert str(path) in caught.value.text


def test_file_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "tiny.gguf", Kind.F32, tied=True)
    with pytest.raises(UnusableError, match="no tokenizer"):
        load_tokenizer(local(path))


def local(path: Path) -> Model:
    return Model(source="local", id=str(path))


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(count: int, *entries: bytes, version: int = 3) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", version, 0, count) + b"".join(entries)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a gguf file at all, just text",
        header(0, version=1),
        header(1, text("key")),
        header(1, struct.pack("<Q", 1 << 62)),
        header(1, text("key"), struct.pack("<I", 99)),
        header(1, text("key"), struct.pack("<IIQ", 9, 10, (1 << 64) - 1)),
        header(1, text("general.alignment"), struct.pack("<II", 4, 0)),
    ],
)
def test_file_that_is_no_gguf_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(UnusableError, match="not a readable GGUF") as caught:
        load_tokenizer(local(file))
    assert caught.value.code == "model.gguf_unreadable"


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes, tmp_path_factory: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.gguf"
    file.write_bytes(struct.pack("<4sI", b"GGUF", 3) + content)
    with suppress(UnusableError):
        read_header(file)


def test_metadata_is_read_past_arrays(tmp_path: Path) -> None:
    entries = [
        text("numbers") + struct.pack("<IIQ3i", 9, 5, 3, 1, 2, 3),
        text("words") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("name") + struct.pack("<I", 8) + text("tiny"),
        text("count") + struct.pack("<IQ", 10, 7),
    ]
    file = tmp_path / "model.gguf"
    file.write_bytes(header(len(entries), *entries))
    assert read_header(file).metadata == {"numbers": None, "words": None, "name": "tiny", "count": 7}
