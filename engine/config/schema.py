"""The config: one TOML file is one run.

Every field's description is at once the comment a template teaches with, the hover text of the JSON schema and
the wizard's help line. A key is here only if it works. Checks that look at two fields live in `checks.py`.
"""

from typing import Annotated, Literal

from pydantic import Field

from engine.config.launch import Launch
from engine.config.section import Section, Text

HUBS = ("hub", "modelscope")
"""Sources whose repos are downloaded, and have revisions."""

RUN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Run(Section):
    """Where the run lives and what makes it repeatable."""

    name: str | None = Field(
        None,
        pattern=RUN_NAME,
        description="Name of the run and of its directory; the config file's name when absent.",
    )
    dir: Text = Field("runs", description="Directory that holds all runs.")
    seed: int = Field(
        0, ge=0, lt=2**32, description="Seed of the data order, of the eval split and of dropout."
    )


Quantization = Literal["nf4"]


class Lora(Section):
    """Low-rank adapters on a frozen base: the reference is the base with the adapter switched off."""

    rank: int = Field(16, ge=1, le=1024, description="Rank of each adapter: its capacity.")
    alpha: float = Field(
        32.0, gt=0, description="Scale of the adapter: its output is multiplied by alpha / rank."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout on the adapter's input; above 0 prompts are not shared."
    )
    targets: list[Text] | Literal["all-linear"] = Field(
        "all-linear", description="Names of the modules to adapt, or all linear layers but the head."
    )
    quantization: Quantization | None = Field(
        None,
        description="Keep the frozen model's linear layers in 4 bits (QLoRA): a quarter of bfloat16's memory; absent: "
        "as they are.",
    )


class Model(Section):
    """The model to train: it is also the reference."""

    source: Literal["hub", "modelscope", "local", "builtin"] = Field(
        "hub",
        description="Where the model comes from: the Hugging Face hub, ModelScope, a folder or GGUF file, or built in.",
    )
    id: Text = Field(description="Repo id, folder, .gguf file, or the name of a built-in model.")
    revision: Text | None = Field(None, description="Branch, tag or commit of a hub repo.")
    dtype: Literal["auto", "bfloat16", "float32"] = Field(
        "auto",
        description="Type the model computes in and is exported in; the weights trained are always fp32. auto is "
        "bfloat16, and computes in float32 on a processor without instructions for it.",
    )
    trust_remote_code: bool = Field(
        False, description="Run Python code that ships with the model. Only for authors you trust."
    )
    lora: Lora | None = Field(
        None, description="Train adapters and leave the model frozen; absent: train it all."
    )

    @property
    def quantization(self) -> Quantization | None:
        """What the frozen linear layers are stored in."""
        return self.lora.quantization if self.lora else None

    @property
    def unpacked(self) -> bool:
        """Whether the weights come out of a GGUF file."""
        return self.source == "builtin" or self.id.endswith(".gguf")

    @property
    def exported_dtype(self) -> Literal["bfloat16", "float32"]:
        """What an export is stored in where nothing else is asked for."""
        return "bfloat16" if self.dtype == "auto" else self.dtype


class Source(Section):
    """One place preference pairs are read from."""

    source: Literal["hub", "modelscope", "local", "builtin"] = Field(
        "hub", description="Where the pairs come from: the Hugging Face hub, ModelScope, files, or built in."
    )
    path: Text = Field(description="Repo id, a file, a folder of files, or the name of a built-in set.")
    subset: Text | None = Field(None, description="Subset (configuration) of a hub dataset that has several.")
    split: Text = Field("train", description="Split to read of a hub dataset.")
    revision: Text | None = Field(None, description="Branch, tag or commit of a hub dataset.")
    streaming: bool = Field(
        False, description="Read a hub dataset over the network and keep nothing of it but the tokens."
    )
    format: Text = Field("auto", description="Layout of a row, or auto to detect it.")
    columns: dict[Text, Text] | None = Field(
        None,
        description="Columns by hand: the layout's name of each = its name in the data. No other is read.",
    )
    exclude: dict[Text, list[str | bool | int | float]] | None = Field(
        None,
        description="Rows to leave out: a column's name in the data = the values that such rows have in it.",
    )
    limit: int | None = Field(None, ge=1, description="Read at most this many rows, from the first.")
    weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description="How often an epoch visits a pair of this source: 0.5 half of them, 2 each one twice.",
    )
    min_margin: float | None = Field(
        None,
        ge=0,
        description="Drop rows whose score of chosen is not this much above that of rejected.",
    )


class Data(Section):
    """Preference pairs and how they become tokens."""

    max_length: int = Field(1024, ge=8, description="Most tokens of a prompt with one completion.")
    max_prompt_length: int = Field(
        512, ge=1, description="Most tokens of a prompt; a longer one keeps its end."
    )
    too_long: Literal["truncate", "drop"] = Field(
        "truncate",
        description="What happens to a pair over these lengths: cut it (counted), or drop it (counted).",
    )
    eval_fraction: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Share of the pairs held out for evaluation; equal prompts stay together.",
    )
    chat_template: Text | None = Field(
        None, description="File with a Jinja chat template, for a model that has none or another."
    )
    sources: list[Source] = Field(min_length=1, description="Where the pairs come from; several are joined.")


class Objective(Section):
    """What is minimised."""

    loss: Literal["sigmoid", "ipo", "hinge", "robust", "sppo_hard", "nca_pair", "kto_pair"] = Field(
        "sigmoid",
        description="Preference loss: sigmoid is DPO; ipo and hinge stop at a margin, robust corrects wrong labels, "
        "sppo_hard, nca_pair and kto_pair judge each answer for itself.",
    )
    beta: float = Field(
        0.1,
        gt=0,
        le=100,
        description="Strength of the pull towards the reference: higher stays closer to it.",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="Share of pairs assumed to be labelled the wrong way round; for sigmoid and robust.",
    )


class Optimizer(Section):
    """AdamW on fp32 weights."""

    learning_rate: float = Field(
        5e-7, gt=0, le=1, description="Peak learning rate: about 5e-7 for a full model, 1e-5 for LoRA."
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="Course of the learning rate after the warm-up; all but constant end at 0."
    )
    warmup_ratio: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps in which the learning rate rises from 0 to its peak."
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="AdamW's decay of the weights; none on norms and biases."
    )
    max_grad_norm: float = Field(
        1.0, ge=0, description="Gradients are scaled down to this L2 norm; 0 never does."
    )


class Train(Section):
    """How long, in which portions, and what is written down on the way."""

    epochs: float = Field(1.0, gt=0, le=1000, description="Passes over the pairs.")
    max_steps: int | None = Field(
        None,
        ge=1,
        description="Optimiser steps, whatever the epochs; goes round the pairs as often as needed.",
    )
    pairs_per_step: int = Field(
        16, ge=1, description="Pairs in one optimiser step over all devices: the batch size."
    )
    tokens_per_pack: Annotated[int, Field(ge=16)] | Literal["auto"] = Field(
        "auto",
        description="Most tokens in one forward pass, or auto for as many as fit the memory; changes no result.",
    )
    share_prompt: bool = Field(
        True, description="Compute a prompt once for both of its completions, where the model allows it."
    )
    gradient_checkpointing: bool = Field(
        False, description="Recompute activations in the backward pass: less memory, about a third slower."
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Compile the model's layers: auto does where the training is long enough to win the time back.",
    )
    log_every: int = Field(1, ge=1, description="Steps between two step events.")
    eval_every: int | None = Field(
        None, ge=1, description="Steps between two evaluations; absent: at every save."
    )
    save_every: int = Field(
        200, ge=1, description="Steps between two checkpoints; one is saved at the end in any case."
    )
    keep: int = Field(2, ge=1, description="Checkpoints kept; the best and the newest are never pruned.")


class Export(Section):
    """The Hugging Face model written at the end of the run."""

    enabled: bool = Field(
        True, description="Export when the training ends; `dpo-tui export` does it at any time."
    )
    to: Text | None = Field(None, description="Folder of the export; absent: `export` in the run directory.")
    checkpoint: Literal["latest", "best"] = Field(
        "latest", description="Which checkpoint: the newest, or the best by eval loss."
    )
    dtype: Literal["bfloat16", "float16", "float32"] | None = Field(
        None, description="Type of the exported weights; absent: the model's dtype."
    )
    layout: Literal["original", "native"] = Field(
        "original",
        description="Of a model read without its own code (InternLM2): its own files and names of weights, or those of "
        "a Llama, which any transformers loads.",
    )
    adapter: bool = Field(False, description="Export a LoRA adapter alone, not merged into its base.")
    verify: bool = Field(
        True, description="Load the export in a fresh process and compare its logits with the policy's."
    )
    push: Text | None = Field(
        None, description="Repo id on the hub to upload to; absent: nothing is uploaded."
    )
    private: bool = Field(True, description="Make the uploaded repo private.")


class Gates(Section):
    """What a run must reach to count as done: else it fails with exit code 1, and exports nothing."""

    min_accuracy: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least share of the held-out pairs whose chosen completion has the higher reward.",
    )
    min_margin: float | None = Field(
        None, description="Least mean reward margin between chosen and rejected on the held-out pairs."
    )
    max_loss: float | None = Field(None, gt=0, description="Highest loss on the held-out pairs.")
    max_dropped: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Largest share of the rows that may be dropped, those of exclude not counted; checked before the "
        "model is loaded.",
    )


class Config(Section):
    """A whole run."""

    run: Run = Run()
    model: Model
    data: Data
    objective: Objective = Objective()
    optimizer: Optimizer = Optimizer()
    train: Train = Train()
    launch: Launch = Launch()
    gates: Gates = Gates()
    export: Export = Export()
