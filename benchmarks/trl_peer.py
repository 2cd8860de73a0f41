"""TRL's trainer on the pairs this product prepared, in its order: what every comparison with it stands on.

Importing this needs `pip install trl==1.16.0`.
"""

import time
from collections.abc import Iterable
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer

from benchmarks.contest import Measured, steps_of
from benchmarks.machine import gemm_rate, peak_gib
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair
from engine.models.load import load_model, load_tokenizer
from engine.rundir.paths import RunDir


class SamePairs(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on pairs that are tokenised already, remembering the exact loss of every step."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        out = super().compute_loss(*args, **kwargs)
        self.losses = [*getattr(self, "losses", []), float(out[0] if isinstance(out, tuple) else out)]
        return out


def dataset_of(batches: Iterable[Iterable[Pair]]) -> Dataset:
    """The pairs of each step one after the other, as TRL wants them."""
    return Dataset.from_list([_row(pair) for batch in batches for pair in batch])


def _row(pair: Pair) -> dict[str, list[int]]:
    start = min(pair.chosen_start, pair.rejected_start)
    return {
        "prompt_ids": pair.chosen[:start].tolist(),
        "chosen_ids": pair.chosen[start:].tolist(),
        "rejected_ids": pair.rejected[start:].tolist(),
    }


def train(best: bool, run: RunDir, config: Config, steps: int) -> Measured:
    """TRL's DPOTrainer with its defaults, or with the settings that make it fastest at the same result."""
    start = time.perf_counter()
    measured = Measured()

    class Clock(TrainerCallback):  # type: ignore[misc]
        began = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not measured.steps and not measured.before:
                measured.before = time.perf_counter() - start
                measured.gemm = gemm_rate(config.model.dtype)
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            measured.steps.append(time.perf_counter() - self.began)

    fastest = {"gradient_checkpointing": False, "precompute_ref_log_probs": True} if best else {}
    settings = DPOConfig(
        output_dir=str(run.root / "trl"),
        per_device_train_batch_size=config.train.pairs_per_step,
        train_sampling_strategy="sequential",
        max_steps=steps,
        learning_rate=config.optimizer.learning_rate,
        lr_scheduler_type="constant",
        warmup_steps=0,
        max_length=config.data.max_length,
        bf16=config.model.dtype == "bfloat16",
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        **fastest,
    )
    trainer = SamePairs(
        model=load_model(config.model).model,
        ref_model=None if best else load_model(config.model).model,
        args=settings,
        train_dataset=dataset_of(steps_of(run, config, steps)),
        processing_class=load_tokenizer(config.model),
        callbacks=[Clock()],
    )
    trainer.train()
    measured.losses = trainer.losses
    measured.peak_gib = peak_gib()
    measured.gemm = max(measured.gemm, gemm_rate(config.model.dtype))
    return measured
