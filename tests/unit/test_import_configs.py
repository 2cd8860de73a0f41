"""Whole configs of XTuner's, as they are written, and all that becomes of each."""

from dpo_tui.importing.convert import import_config
from tests.unit.importing import FIXTURES, remarks


def test_all_weights() -> None:
    config = import_config(FIXTURES / "full.py")
    assert config.values() == {
        "model": {"source": "hub", "id": "internlm/internlm2-chat-1_8b-sft", "dtype": "auto"},
        "data": {
            "max_length": 2048,
            "max_prompt_length": 1536,
            "eval_fraction": 0.0,
            "sources": [{"source": "hub", "path": "mlabonne/orpo-dpo-mix-40k"}],
        },
        "objective": {"loss": "sigmoid", "beta": 0.1},
        "optimizer": {
            "learning_rate": 5e-7,
            "weight_decay": 0,
            "max_grad_norm": 1,
            "warmup_ratio": 0.03,
            "schedule": "cosine",
        },
        "train": {"epochs": 3, "pairs_per_step": 16, "save_every": 31, "keep": 2, "log_every": 1},
    }
    assert remarks(config, "lost").keys() == {"chat"}
    told = {"remote_code", "float16", "prompt", "held_out", "warmup", "batch", "checkpointing", "iterations"}
    assert remarks(config, "differs").keys() == told | {"template"}
    assert config.skipped == ()
    assert {"tokenizer", "train_dataset.num_proc", "custom_hooks.0: DatasetInfoHook"} < set(config.idle)


def test_files_of_one_s_own() -> None:
    config = import_config(FIXTURES / "jsonl.py")
    assert config.values() == {
        "model": {
            "source": "local",
            "id": "./models/house-chat",
            "dtype": "bfloat16",
            "lora": {"rank": 8, "alpha": 32, "dropout": 0.0, "targets": ["q_proj", "v_proj"]},
        },
        "data": {
            "max_length": 512,
            "max_prompt_length": 384,
            "eval_fraction": 0.0,
            "sources": [
                {"source": "local", "path": path}
                for path in ("./pairs/first.jsonl", "./pairs/second.jsonl", "./pairs/more")
            ],
        },
        "objective": {"loss": "sigmoid", "label_smoothing": 0.1, "beta": 0.05},
        "optimizer": {
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "max_grad_norm": 0.0,
            "warmup_ratio": 0.0,
            "schedule": "constant",
        },
        "train": {"epochs": 1, "pairs_per_step": 8},
    }
    assert remarks(config, "lost").keys() == {"save_epochs"}
    assert {"folder", "unclipped", "decay"} < remarks(config, "differs").keys()


def test_packed_pairs_of_modelscope_on_top_of_another_config() -> None:
    config = import_config(FIXTURES / "varlen.py")
    values = config.values()
    assert values["model"] == {
        "source": "modelscope",
        "id": "Shanghai_AI_Laboratory/internlm2-chat-1_8b-sft",
        "dtype": "auto",
    }
    assert values["data"]["sources"] == [
        {"source": "modelscope", "path": "AI-ModelScope/orpo-dpo-mix-40k", "split": "train"}
    ]
    assert (values["data"]["max_length"], values["data"]["max_prompt_length"]) == (4096, 3072)
    assert values["objective"] == {"loss": "hinge", "beta": 0.1}
    assert values["train"] == {
        "max_steps": 188,
        "pairs_per_step": 16,
        "save_every": 31,
        "keep": 2,
        "log_every": 1,
    }
    assert values["optimizer"]["warmup_ratio"] == 0.1
    assert {"packed_batch", "packing"} < remarks(config, "differs").keys()
    assert remarks(config, "lost") == {}
    beta = next(one.origins[0] for one in config.taken if one.key == "objective.beta")
    assert beta.place is not None
    assert (beta.name, beta.place.file) == ("loss_beta", "full.py")


def test_adapters_in_four_bits() -> None:
    config = import_config(FIXTURES / "qlora.py")
    values = config.values()
    assert values["model"] == {
        "source": "hub",
        "id": "internlm/internlm2-chat-7b-sft",
        "dtype": "bfloat16",
        "lora": {"rank": 64, "alpha": 16, "dropout": 0.1, "quantization": "nf4"},
    }
    assert values["data"]["sources"] == [{"source": "hub", "path": "Intel/orca_dpo_pairs", "split": "train"}]
    assert values["objective"] == {"loss": "ipo", "beta": 0.2}
    assert values["optimizer"] == {
        "learning_rate": 1e-5,
        "weight_decay": 0.01,
        "max_grad_norm": 0.5,
        "warmup_ratio": 0.1,
        "schedule": "cosine",
    }
    assert values["train"] == {
        "epochs": 2,
        "pairs_per_step": 16,
        "gradient_checkpointing": True,
        "save_every": 50,
    }
    assert values["run"] == {"seed": 42}
    assert remarks(config, "lost").keys() == {"keep_all"}


def test_a_value_says_where_it_was_written() -> None:
    origins = {one.key: one.origins for one in import_config(FIXTURES / "full.py").taken}
    text = (FIXTURES / "full.py").read_text(encoding="utf-8").splitlines()
    batch, counts = origins["train.pairs_per_step"]
    assert (batch.name, counts.name) == ("batch_size", "accumulative_counts")
    assert text[batch.place.line - 1].startswith("batch_size = 1") if batch.place else False
    assert (
        text[counts.place.line - 1] == "accumulative_counts *= sequence_parallel_size"
        if counts.place
        else False
    )
    assert origins["data.sources.0.path"][0].name == "train_dataset.dataset.path"
