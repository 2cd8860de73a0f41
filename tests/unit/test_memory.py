"""The memory model: what is counted exactly, what grows with what, and the change that makes a training fit."""

from dataclasses import replace
from typing import Any

import pytest

from engine.config.schema import Config
from engine.forecast import forecast, longest_pairs
from engine.kept import GAPS_OF_SUMS
from engine.launch.deepspeed import BUCKET
from engine.memory import (
    EXCHANGED,
    LOGITS_BUDGET,
    NF4_BITS,
    SUMMED_AT_ONCE,
    TILE_BYTES,
    Device,
    Setup,
    Work,
    estimate,
    layer_bytes,
)
from engine.remedy import Pairs, fits, largest_pack, remedy, tight
from engine.shape import ModelShape, shape_of

LLAMA_8B = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
GIB = 1 << 30


def shape(config: dict[str, Any] = LLAMA_8B, parameters: int | None = None) -> ModelShape:
    found = shape_of(config, parameters)
    assert found is not None
    return found


FULL = Setup(shape=shape(), trained=shape().parameters)
LORA = replace(FULL, adapters=True, trained=shape().adapters(16))
WORK = Work(tokens=4096, rows=2048)


def test_a_llama_is_counted_to_the_last_weight() -> None:
    assert shape().parameters == 8_030_261_248


def test_adapters_are_counted_by_their_targets() -> None:
    assert shape().adapters(16) == 41_943_040
    assert shape().adapters(16, ["q_proj", "v_proj"]) == 6_815_744
    assert shape().adapters(8, ["no_such_layer"]) == shape().adapters(8)


def test_other_families_call_their_sizes_by_other_names() -> None:
    gpt2 = shape({"n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257})
    assert (gpt2.layers, gpt2.hidden, gpt2.kv_heads, gpt2.head_dim, gpt2.intermediate) == (
        12,
        768,
        12,
        64,
        3072,
    )
    assert shape({"model_type": "seen", "text_config": LLAMA_8B}) == shape()
    experts = LLAMA_8B | {"num_experts_per_tok": 8, "moe_intermediate_size": 768}
    assert shape(experts, 30 * 10**9).intermediate == 6144


@pytest.mark.parametrize("missing", ["num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"])
def test_without_a_size_there_is_no_shape(missing: str) -> None:
    assert shape_of({name: size for name, size in LLAMA_8B.items() if name != missing}) is None
    assert shape_of(LLAMA_8B | {missing: "many"}) is None


def test_weights_gradients_and_moments_are_those_of_mixed_precision() -> None:
    parts, size = estimate(FULL, WORK).parts, FULL.trained
    assert parts["weights"] == 2 * size
    assert parts["optimizer"] == (2 + 8) * size  # the halves that bf16 drops, and two moments
    several = estimate(FULL, Work(tokens=64, rows=32, packs=3))
    assert several.moment == "backward"
    assert several.parts["gradients"] == (4 + 2) * size


def test_zero_cuts_each_kind_of_state_at_its_stage() -> None:
    def parts(strategy: Any) -> dict[Any, int]:
        return estimate(replace(FULL, world=8, strategy=strategy), Work(tokens=64, rows=32)).parts

    whole, one, two, three = (parts(name) for name in ("ddp", "zero1", "zero2", "zero3"))
    # DeepSpeed has the rounded weights once more, in fp32.
    assert one["optimizer"] == (4 + 2 + 8) * whole["optimizer"] // 10 // 8
    assert whole["gradients"] == 2 * FULL.trained
    assert one["gradients"] == (4 + 2) * FULL.trained  # its place for fp32 sums is of all weights
    assert two["gradients"] == 4 * FULL.trained // 8
    assert two["weights"] == whole["weights"]
    assert whole["weights"] / 8 < three["weights"] < whole["weights"] / 4  # a layer and the head are gathered
    assert estimate(replace(FULL, offload=True), WORK).parts["optimizer"] == 0


def test_stage_1_sums_gradients_over_processes_in_a_copy_of_bounded_size() -> None:
    """A GPU has room for it by then."""

    def gradients(setup: Setup) -> int:
        found = estimate(replace(setup, world=8, strategy="zero1"), WORK)
        assert found.moment == "turn"
        return found.parts["gradients"]

    gpu, cpu = gradients(FULL), gradients(replace(FULL, device="cpu"))
    assert cpu - gpu == 4 * SUMMED_AT_ONCE
    assert gradients(replace(LORA, device="cpu")) == gradients(LORA)


def test_adapters_and_four_bits_take_what_their_papers_say() -> None:
    lora, quantized = estimate(LORA, WORK), estimate(replace(LORA, quantized=shape().linears), WORK)
    assert lora.parts["optimizer"] + lora.parts["gradients"] < GIB
    assert quantized.parts["weights"] < 0.4 * lora.parts["weights"]
    assert lora.total < 0.5 * estimate(FULL, WORK).total


def test_a_layer_in_4_bits_is_unpacked_while_it_computes() -> None:
    packed = replace(LORA, quantized=shape().linears)
    for work in (WORK, Work(tokens=64, rows=16)):
        more = estimate(packed, work).parts["activations"] - estimate(LORA, work).parts["activations"]
        assert more == 2 * shape().hidden * shape().intermediate


def test_what_is_quantised_while_it_is_read_never_stands_there_in_full() -> None:
    on_cpu = replace(LORA, device="cpu", checkpointing=True, itemsize=4)
    packed = replace(on_cpu, quantized=shape().linears)
    small = Work(tokens=64, rows=16)
    assert estimate(packed, small).total < 0.4 * estimate(on_cpu, small).total
    unpacked = estimate(replace(packed, unpacked=True), small)
    assert (unpacked.moment, unpacked.parts["weights"]) == ("loading", 4 * shape().parameters)


def test_the_head_is_flat_in_the_vocabulary_beyond_its_budget() -> None:
    def head(vocabulary: int) -> int:
        sized = shape(LLAMA_8B | {"vocab_size": vocabulary})
        return estimate(replace(FULL, shape=sized), Work(tokens=16384, rows=16384)).parts["head"]

    assert head(262_144) == head(131_072) == 2 * TILE_BYTES["cuda"]
    assert LOGITS_BUDGET < 2 * 16384 * 131_072


def test_checkpointing_computes_logits_again_as_well() -> None:
    assert estimate(FULL, WORK).parts["head"] > 2 * TILE_BYTES["cuda"]
    checkpointed = estimate(replace(FULL, checkpointing=True), WORK)
    assert checkpointed.parts["head"] <= 2 * TILE_BYTES["cuda"]


def test_checkpointing_keeps_a_layer_s_input_alone() -> None:
    kept = estimate(replace(LORA, checkpointing=True), WORK).parts["activations"]
    assert kept < 0.1 * estimate(LORA, WORK).parts["activations"]


def test_devices_that_share_a_pack_hold_a_share_of_it_each() -> None:
    """Of activations and logits, not of weights; a token of 4 key heads is kept as one of 8 where 8 share it."""
    narrow = replace(LORA, shape=shape(LLAMA_8B | {"num_key_value_heads": 4}), world=8, strategy="ddp")
    whole, four, eight = (
        estimate(replace(narrow, sequence_parallel=devices), WORK).parts for devices in (1, 4, 8)
    )
    assert four["activations"] == pytest.approx(whole["activations"] / 4, rel=1e-3)
    scored = estimate(narrow, Work(tokens=WORK.tokens // 4, rows=WORK.tokens // 4))
    assert four["head"] == scored.parts["head"]  # all of a device's own tokens may be
    assert eight["activations"] > 1.05 * whole["activations"] / 8
    assert eight["weights"] == four["weights"] == whole["weights"]
    odd = Work(tokens=WORK.tokens + 1, rows=WORK.rows)
    assert odd.shared_by(4) == Work(tokens=WORK.tokens // 4 + 1, rows=WORK.tokens // 4 + 1)


def test_a_kernel_without_copies_keeps_those_of_the_exchange() -> None:
    native = replace(FULL, native=True)
    more = layer_bytes(replace(native, sequence_parallel=2)) - layer_bytes(native)
    assert more == native.itemsize * shape().queries
    assert layer_bytes(replace(FULL, sequence_parallel=2)) == layer_bytes(FULL)


def test_on_a_cpu_loading_can_be_the_highest_moment() -> None:
    loading = estimate(replace(LORA, device="cpu", checkpointing=True), Work(tokens=64, rows=16))
    assert (loading.moment, loading.parts["weights"]) == ("loading", 4 * shape().parameters)


# What fits


PAIRS = Pairs(longest=2046, scored=0.5, step=16 * 1500)


def test_packs_are_as_large_as_fit_and_never_smaller_than_the_longest_pair() -> None:
    sizes = [largest_pack(FULL, PAIRS, room * GIB, 16384) for room in (400, 180, 160, 1)]
    assert sizes[0] == 16384
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == PAIRS.longest
    for room, size in zip((400, 180), sizes[:2], strict=True):
        assert fits(estimate(FULL, PAIRS.work(size)).total, room * GIB)


def test_the_smallest_change_that_helps_is_proposed() -> None:
    def key(room: float, setup: Setup = FULL, size: int = 16384) -> str | None:
        change = remedy(setup, PAIRS, size, int(room * GIB))
        return None if change is None else change.key

    needed = estimate(FULL, PAIRS.work(16384)).total / GIB
    assert key(needed) == "train.tokens_per_pack"
    assert key(145) == "train.gradient_checkpointing"
    assert key(64) == "model.lora.rank"
    assert key(8) is None


def test_four_bits_are_the_last_that_is_proposed() -> None:
    change = remedy(FULL, PAIRS, 4096, 16 * GIB)
    assert change is not None
    assert change.keys["model.lora.quantization"] == "nf4"
    assert change.keys["model.lora.rank"] == 16
    of_lora = remedy(replace(LORA, checkpointing=True), PAIRS, 2048, 16 * GIB)
    assert of_lora is not None
    assert of_lora.keys == {"model.lora.quantization": "nf4"}
    packed = replace(LORA, checkpointing=True, quantized=shape().linears)
    for setup in (packed, replace(FULL, strategy="zero3", world=2)):
        change = remedy(setup, PAIRS, 4096, 7 * GIB)
        assert change is None or "model.lora.quantization" not in change.keys


def test_a_change_that_is_not_enough_comes_with_smaller_packs() -> None:
    change = remedy(FULL, PAIRS, 16384, 40 * GIB)
    assert change is not None
    assert change.keys == {"model.lora.rank": 16, "train.tokens_per_pack": "auto"}
    assert str(change) == 'model.lora.rank = 16 and train.tokens_per_pack = "auto"'


def test_a_change_that_is_proposed_does_help() -> None:
    for room in range(20, 400, 20):
        change = remedy(FULL, PAIRS, 16384, room * GIB)
        assert change is None or fits(change.total, room * GIB)


def test_a_training_that_may_not_fit_says_what_is_most_of_it_and_what_helps() -> None:
    expected = estimate(FULL, PAIRS.work(16384))
    text, params = tight(expected, 64 * GIB, remedy(FULL, PAIRS, 16384, 64 * GIB))
    assert "model.lora.rank = 16" in text
    assert (params["case"], params["largest"], params["room"]) == ("change", expected.largest, 64.0)
    assert "smaller model" in tight(expected, GIB, None)[0]


def config(**tables: Any) -> Config:
    return Config.model_validate({"model": {"id": "a/b"}, "data": {"sources": [{"path": "c/d"}]}, **tables})


def test_a_forecast_packs_as_the_run_would() -> None:
    found = forecast(config(), shape(), "cuda", 200 * GIB)
    assert found.fits
    assert found.remedy is None
    assert found.tokens_per_pack in (2046, 4096, 8192, 16384)
    asked = forecast(config(train={"tokens_per_pack": 4096}), shape(), "cuda", 24 * GIB)
    assert (asked.tokens_per_pack, asked.fits) == (4096, False)
    assert asked.remedy is not None
    assert asked.to_json()["remedy"]["keys"] == asked.remedy.keys


def test_a_forecast_follows_what_the_config_says_of_the_training() -> None:
    def total(**tables: Any) -> int:
        return forecast(
            config(train={"tokens_per_pack": 4096}, **tables), shape(), "cuda", GIB
        ).estimate.total

    lora = {"id": "a/b", "lora": {"rank": 16}}
    packed = {"id": "a/b", "lora": {"rank": 16, "quantization": "nf4"}}
    shared = {"devices": 4, "sequence_parallel": 4, "strategy": "zero3"}
    assert total(launch=shared) < total(launch=shared | {"sequence_parallel": 1})
    saved = (16 - NF4_BITS) / 8 * shape().linears
    assert total(model=lora) - total(model=packed) == pytest.approx(saved, rel=0.02)
    assert total(model=lora) < total() < total(model={"id": "a/b", "dtype": "float32"})


def test_devices_that_share_packs_have_a_step_together() -> None:
    def step(devices: int) -> int | None:
        launch = {"devices": 8, "sequence_parallel": devices}
        return longest_pairs(config(launch=launch, train={"pairs_per_step": 16})).step

    assert step(1) == 2 * 2046
    assert step(8) == 16 * 2046


def test_deepspeed_has_a_bucket_in_both_types() -> None:
    divided = estimate(replace(FULL, world=8, strategy="zero2"), WORK)
    alone = estimate(FULL, WORK)
    assert EXCHANGED == (2 + 4) * BUCKET
    assert divided.parts["program"] == alone.parts["program"] + EXCHANGED


def test_gradients_of_several_packs_leave_gaps_on_a_cpu_alone() -> None:
    """They show where no activations take their place: at the end of a pass, not in its middle."""
    small, single = Work(tokens=64, rows=16, packs=2), Work(tokens=64, rows=16)
    gaps: dict[Device, int] = {"cpu": GAPS_OF_SUMS, "cuda": 0}
    for device, gap in gaps.items():
        setup = replace(FULL, device=device, compiled=True)
        more = estimate(setup, small).parts["gradients"] - estimate(setup, single).parts["gradients"]
        assert more == (2 + gap) * setup.trained
