"""Every way in which the files of an export can be other than what was trained is found, and named."""

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from engine.exits import CannotWriteError
from engine.export.expected import Expected
from engine.export.export import _request
from engine.export.files import check_written, write_model
from engine.export.proof import difference
from engine.export.reading import read
from engine.export.source import Source, find_source, tokenizer_of
from engine.export.weights import trained_policy
from engine.models.quiet import quiet_transformers
from tests.engine.tiny_folder import edit_config, tiny_tokenizer, write_folder
from tests.engine.tiny_run import LORA, tiny_run
from tests.tiny import FAMILIES, tiny_model

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Written:
    """A folder as an export writes it before it is proved, and what it must hold."""

    folder: Path
    source: Source
    expected: Expected
    types: Any

    def verdict(self, folder: Path) -> str | None:
        """What the export would say of a folder in its place; None where it would hand it out."""
        try:
            with quiet_transformers():
                check_written(folder, self.source, self.types)
                seen, logits = read(_request(folder, self.source, self.expected))
        except CannotWriteError as error:
            return error.text
        except Exception as error:  # a process that fails is no proof, whatever it fails with
            return f"does not load: {error}"
        return difference(self.expected, json.loads(json.dumps(seen)), logits)


def written(place: Path, model: Path, dtype: str, extra: str = "", *, adapter: bool = False) -> Written:
    run = tiny_run(place / "run", model, extra)
    source = find_source(run, "latest", dtype, adapter, place / "export", None)
    tokenizer = tokenizer_of(source)
    policy = trained_policy(source, tokenizer, verify=True)
    assert policy.expected is not None
    (place / "export").mkdir()
    types = write_model(place / "export", policy.model, tokenizer, source)
    return Written(place / "export", source, policy.expected, types)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A tied model in bf16, of one file."""
    place = tmp_path_factory.mktemp("whole")
    return written(place, write_folder(place / "base", tie_word_embeddings=True), "bfloat16")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Written:
    return written(tmp_path_factory.mktemp("adapter"), model, "bfloat16", LORA, adapter=True)


@pytest.fixture
def copy(whole: Written, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole.folder, tmp_path / "copy"))


def edit(name: str, **changes: Any) -> Callable[[Path], None]:
    """Sets keys of a JSON file; None takes a key away."""

    def change(folder: Path) -> None:
        values = {**json.loads((folder / name).read_text()), **changes}
        kept = {key: value for key, value in values.items() if value is not None}
        (folder / name).write_text(json.dumps(kept))

    return change


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Writes the weights again, whole and well, after a change to them."""

    def rewrite(folder: Path) -> None:
        kept = load_file(folder / WEIGHTS)
        change(kept)
        save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})

    return rewrite


def in_place(name: str, found: str, put: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert found in text
        (folder / name).write_text(text.replace(found, put))

    return change


def flipped(position: int, bit: int = 0) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = bytearray((folder / WEIGHTS).read_bytes())
        content[position] ^= 1 << bit
        (folder / WEIGHTS).write_bytes(content)

    return flip


def added(name: str, content: bytes) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return add


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: folder.joinpath(name).unlink()


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "weights.dat", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps([1]))


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-2])


def norm(name: str) -> Callable[[dict[str, torch.Tensor]], object]:
    """The smallest change that bf16 knows, to one weight."""

    def change(kept: dict[str, torch.Tensor]) -> None:
        bits = kept[name].view(torch.int16)
        bits[3] += 1

    return change


def double(kept: dict[str, torch.Tensor]) -> None:
    kept.update({name: tensor.half() for name, tensor in kept.items()})


NORM = "model.layers.1.input_layernorm.weight"
BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "a bit": (flipped(-1), "has other numbers"),
    "a bit of the header": (flipped(9, 6), "read back"),
    "the last byte": (cut, "where its header says"),
    "one weight by one ulp": (tensors(norm(NORM)), f"the weight {NORM} has other numbers"),
    "a weight gone": (tensors(lambda kept: kept.pop(NORM)), f"missing keys when it loads them: {NORM}"),
    "a weight too many": (tensors(lambda kept: kept.update(x=kept[NORM].clone())), "unexpected keys"),
    "weights of another type": (tensors(double), "is stored in F16 instead of bfloat16"),
    "no weights": (without(WEIGHTS), "there are no weights"),
    "type in the config": (edit("config.json", dtype="float32"), "is float32 [264x32] instead of bfloat16"),
    "another base of rotation": (
        edit("config.json", rope_parameters={"rope_type": "default", "rope_theta": 77.0}),
        "the logits differ",
    ),
    "another epsilon": (edit("config.json", rms_norm_eps=0.01), "the logits differ"),
    "no longer tied": (edit("config.json", tie_word_embeddings=False), "lm_head.weight"),
    "EOS in the config": (edit("config.json", eos_token_id=7), "config says eos_token_id = 7 instead of 0"),
    "how far it reads": (
        edit("config.json", max_position_embeddings=64),
        "model config says max_position_embeddings = 64 instead of 128",
    ),
    "no config": (without("config.json"), "read back"),
    "chat template": (in_place("chat_template.jinja", "<|im_end|>", "<|im_end|> "), "the chat template"),
    "no chat template": (without("chat_template.jinja"), "the chat template"),
    "EOS of the tokenizer": (
        edit("tokenizer_config.json", eos_token="<|im_end|>"),
        "EOS is token 2 instead of 0",
    ),
    "end of generation": (
        edit("generation_config.json", eos_token_id=0),
        "eos_token_id = 0 instead of [0, 2]",
    ),
    "one end too many": (
        edit("generation_config.json", eos_token_id=[0, 2, 7]),
        "eos_token_id = [0, 2, 7] instead of [0, 2]",
    ),
    "sampling": (
        edit("generation_config.json", do_sample=True, temperature=1.7),
        "do_sample = True instead of None",
    ),
    "no generation config": (without("generation_config.json"), "eos_token_id = 0 instead of [0, 2]"),
    "no tokenizer": (without("tokenizer.json"), "read back"),
    "a broken tokenizer": (in_place("tokenizer.json", '"BPE"', '"BQE"'), "read back"),
    "two tokens for each other": (
        lambda folder: swap(folder / "tokenizer.json", "a", "e"),
        "the tokenizer splits prompt",
    ),
    ".bin": (added("pytorch_model.bin", b"x"), "pytorch_model.bin is pickled by its name"),
    ".pkl": (added("vocab.pkl", b"x"), "vocab.pkl is pickled by its name"),
    ".pt": (added("training_args.pt", b"x"), "training_args.pt is pickled by its name"),
    "a pickle called otherwise": (added("notes.txt", pickle.dumps({"a": [1]})), "notes.txt holds a pickle"),
    "an old pickle": (added("notes.txt", pickle.dumps({"a": [1]}, protocol=0)), "notes.txt holds a pickle"),
    "a zip of pickles": (zipped, "weights.dat is a zip archive"),
}


def swap(path: Path, one: str, other: str) -> None:
    rules = json.loads(path.read_text())
    vocabulary = rules["model"]["vocab"]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(rules))


def test_what_was_written_is_found_to_be_what_was_trained(
    whole: Written, copy: Path, adapter: Written
) -> None:
    assert whole.verdict(whole.folder) is None
    assert whole.verdict(copy) is None
    assert adapter.verdict(adapter.folder) is None


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_family_of_models_is_refused_for_what_its_library_does(
    tmp_path: Path, family: str, dtype: str
) -> None:
    base = tiny_model(family)
    base.resize_token_embeddings(264)
    base.save_pretrained(tmp_path / "base")
    tiny_tokenizer().save_pretrained(tmp_path / "base")
    folder = written(tmp_path, tmp_path / "base", dtype)
    assert folder.verdict(folder.folder) is None


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_is_named(whole: Written, copy: Path, case: str) -> None:
    do_it, said = BROKEN[case]
    do_it(copy)
    verdict = whole.verdict(copy)
    assert verdict is not None
    assert said in verdict
    assert "\n" not in verdict or verdict.startswith("does not load")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**9), st.integers(0, 7))
def test_no_bit_of_the_weights_can_flip_unseen(
    whole: Written, tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    copy = Path(shutil.copytree(whole.folder, tmp_path_factory.mktemp("flip") / "copy"))
    flipped(position % (copy / WEIGHTS).stat().st_size, bit)(copy)
    assert whole.verdict(copy) is not None


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "tokenizer.json"])
def test_an_adapter_is_judged_like_a_model(adapter: Written, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(adapter.folder, tmp_path / "copy"))
    if name.endswith("config.json"):
        edit(name, lora_alpha=3)(copy)
    elif name.endswith("json"):
        (copy / name).unlink()
    else:
        content = bytearray((copy / name).read_bytes())
        content[-1] ^= 1
        (copy / name).write_bytes(content)
    assert adapter.verdict(copy) is not None


def test_an_adapter_on_another_base_is_another_model(adapter: Written, tmp_path: Path) -> None:
    base = Path(shutil.copytree(adapter.source.base.path, tmp_path / "base"))
    edit_config(base, rms_norm_eps=1e-2)
    elsewhere = _request(adapter.folder, adapter.source, adapter.expected)
    seen, logits = read(replace(elsewhere, base=str(base)))
    assert "the logits differ" in str(difference(adapter.expected, json.loads(json.dumps(seen)), logits))
