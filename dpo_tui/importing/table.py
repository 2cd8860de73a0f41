"""The table of what is mapped: where in XTuner's config, which key of ours, and the row that does it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dpo_tui.importing import from_data, from_model, from_objective, from_training
from dpo_tui.importing.findings import Finding
from dpo_tui.importing.settings import Settings


@dataclass(frozen=True, slots=True)
class Row:
    """`where` a setting of XTuner's stands and the `key` it becomes, empty where it becomes none."""

    where: str
    key: str
    read: Callable[[Settings], Iterator[Finding]]


ROWS = (
    Row("randomness.seed", "run.seed", from_training.seed),
    Row("model.llm.pretrained_model_name_or_path", "model.id", from_model.model_id),
    Row("model.llm.trust_remote_code", "", from_model.remote_code),
    Row("optim_wrapper.dtype, model.llm.torch_dtype", "model.dtype", from_model.dtype),
    Row("model.lora", "model.lora", from_model.adapters),
    Row("model.llm.quantization_config", "model.lora.quantization", from_model.quantization),
    Row("train_dataset.max_length", "data.max_length", from_data.lengths),
    Row("", "data.eval_fraction", from_data.held_out),
    Row("train_dataset.dataset", "data.sources", from_data.sources),
    Row("train_dataset.max_packed_length", "", from_data.packing),
    Row("train_dataloader", "", from_data.loading),
    Row("model.loss_type, model.label_smoothing", "objective.loss", from_objective.loss),
    Row("model.beta", "objective.beta", from_objective.plain("objective.beta", "model.beta")),
    Row("optim_wrapper.optimizer.type", "", from_objective.optimizer),
    Row(
        "optim_wrapper.optimizer.lr",
        "optimizer.learning_rate",
        from_objective.plain("optimizer.learning_rate", "optim_wrapper.optimizer.lr"),
    ),
    Row("optim_wrapper.optimizer.weight_decay", "optimizer.weight_decay", from_objective.weight_decay),
    Row("optim_wrapper.clip_grad", "optimizer.max_grad_norm", from_objective.clipping),
    Row("param_scheduler", "optimizer.schedule", from_objective.schedule),
    Row("train_cfg", "train.epochs", from_training.length),
    Row(
        "train_dataloader.batch_size, optim_wrapper.accumulative_counts",
        "train.pairs_per_step",
        from_training.pairs_per_step,
    ),
    Row("model.use_activation_checkpointing", "train.gradient_checkpointing", from_model.recomputing),
    Row("default_hooks.checkpoint", "train.save_every", from_training.saving),
    Row("custom_hooks, default_hooks.logger", "train.log_every", from_training.hooks),
    Row("sequence_parallel_size", "launch.sequence_parallel", from_training.parallel),
    Row("prompt_template, tokenizer", "", from_model.about_model),
    Row("visualizer, resume, strategy, work_dir", "", from_training.surroundings),
)
