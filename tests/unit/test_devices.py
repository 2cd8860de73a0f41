"""What several devices divide: the strategy, DeepSpeed's config, and what does not go together."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.config.checks import conflicts
from engine.config.schema import Config, Lora
from engine.exits import UsageError
from engine.launch.deepspeed import deepspeed_config
from engine.launch.strategy import choose_strategy
from engine.memory import Setup
from engine.remedy import Pairs
from engine.shape import shape_of

SIZES = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "vocab_size": 32_000}
PAIRS = Pairs(longest=2000, step=4000)


def config(**launch: Any) -> Config:
    sections = {"model": {"id": "x/y"}, "data": {"sources": [{"path": "x/y"}]}, "launch": launch}
    return Config.model_validate(sections)


@pytest.mark.parametrize(
    ("launch", "room", "expected"),
    [
        ({"devices": 1}, 1000, "single"),
        ({"devices": 8}, 1000, "ddp"),
        ({"devices": 8}, 100, "zero1"),
        ({"devices": 8}, 60, "zero2"),
        ({"devices": 8}, 40, "zero3"),
        ({"devices": 8}, 1, "zero3"),
        ({"devices": 8, "offload": "optimizer"}, 1000, "zero2"),
        ({"devices": 8, "offload": "all"}, 1000, "zero3"),
        ({"devices": 8, "strategy": "zero1"}, 1, "zero1"),
    ],
)
def test_the_first_that_fits_is_taken(launch: dict[str, Any], room: int, expected: str) -> None:
    shape = shape_of(SIZES)
    assert shape is not None
    setup = Setup(shape=shape, trained=shape.parameters, world=int(launch["devices"]))
    chosen = choose_strategy(config(**launch), setup, PAIRS, room << 30)
    assert chosen.strategy == expected
    assert chosen.reason


def test_weights_in_4_bits_are_never_divided() -> None:
    shape = shape_of(SIZES)
    assert shape is not None
    setup = Setup(shape=shape, trained=1000, adapters=True, quantized=shape.linears, world=8)
    chosen = choose_strategy(config(devices=8), setup, PAIRS, 1 << 30)
    assert (chosen.strategy, "none fits" in chosen.reason) == ("zero2", True)


@pytest.mark.parametrize(
    ("launch", "code"),
    [
        ({"strategy": "zero3"}, "quantization.zero3"),
        ({"strategy": "zero3", "offload": "all"}, "quantization.zero3"),
        ({"offload": "all"}, "quantization.offload"),
        ({"strategy": "zero2"}, None),
        ({"strategy": "zero2", "offload": "optimizer"}, None),
        ({}, None),
    ],
)
def test_weights_in_4_bits_do_not_go_with_what_divides_them(launch: dict[str, Any], code: str | None) -> None:
    whole = config(devices=2, **launch)
    assert list(conflicts(whole)) == []
    lora = Lora(rank=4, quantization="nf4")
    packed = whole.model_copy(update={"model": whole.model.model_copy(update={"lora": lora})})
    assert [conflict.code for conflict in conflicts(packed)] == ([code] if code else [])


@pytest.mark.parametrize(
    ("launch", "code"),
    [
        ({"devices": 2, "strategy": "single"}, "devices.single"),
        ({"devices": 2, "strategy": "ddp", "offload": "optimizer"}, "devices.offload"),
        ({"devices": 2, "strategy": "zero2", "offload": "all"}, "devices.offload_all"),
        ({"devices": 17}, "devices.pairs"),
    ],
)
def test_what_does_not_go_together_is_said(launch: dict[str, Any], code: str) -> None:
    assert code in [conflict.code for conflict in conflicts(config(**launch))]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('{"optimizer": {"type": "Adam"}}', "optimizer.type is not DeepSpeed's to set"),
        ('{"zero_optimization": {"stage": 3}}', "zero_optimization.stage = 3, and the config makes it 2"),
        ('{"gradient_clipping": 5.0}', "gradient_clipping = 5.0, and the config makes it 1.0"),
        ('{"zero_optimization": {"offload_param": {"device": "nvme"}}}', "is not DeepSpeed's to set"),
        ("[1]", "no JSON object"),
        ("{", "no JSON"),
    ],
)
def test_keys_that_contradict_the_config_are_refused(keys: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(keys)
    with pytest.raises(UsageError) as caught:
        deepspeed_config(config(devices=2, strategy="zero2", deepspeed=str(path)), "zero2", "bfloat16")
    assert expected in caught.value.text
    assert str(path) in caught.value.text


def test_keys_of_deepspeed_alone_are_taken_and_auto_leaves_it_to_the_config(tmp_path: Path) -> None:
    given = {
        "zero_optimization": {"stage": "auto", "reduce_bucket_size": 5, "overlap_comm": True},
        "wall_clock": 1,
    }
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(given))
    made = deepspeed_config(config(devices=2, deepspeed=str(path)), "zero2", "bfloat16")
    zero = made["zero_optimization"]
    assert (zero["stage"], zero["reduce_bucket_size"], zero["overlap_comm"], made["wall_clock"]) == (
        2,
        5,
        True,
        1,
    )
    assert made["bf16"]["enabled"]
    assert not deepspeed_config(config(), "zero2", "float32")["bf16"]["enabled"]
