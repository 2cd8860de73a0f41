"""Each setting of XTuner's as one of ours, with a word where it means something else here or is not there at all."""

import ast
from pathlib import Path
from typing import Any, get_args

import pytest

from dpo_tui.importing.findings import Origin
from dpo_tui.importing.table import ROWS
from dpo_tui.importing.values import Place
from dpo_tui.text import LANGUAGES, catalogue
from engine.config.explain import field_at
from engine.config.schema import Config, Objective
from tests.unit.importing import imported, remarks, taken

PACKAGE = Path(__file__).parents[2] / "dpo_tui" / "importing"


@pytest.mark.parametrize("loss", get_args(Objective.model_fields["loss"].annotation))
def test_every_loss_of_ours_is_taken_by_its_name(tmp_path: Path, loss: str) -> None:
    smoothing = 0.1 if loss == "robust" else 0.0
    line = f"model.update(loss_type='{loss}', label_smoothing={smoothing})"
    assert taken(imported(tmp_path, line))["objective.loss"] == loss


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo", "kto_pair", "sppo_hard", "nca_pair", "robust"])
def test_xtuner_has_no_loss_that_is_not_ours(loss: str) -> None:
    assert loss in get_args(Objective.model_fields["loss"].annotation)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("model.llm.pretrained_model_name_or_path = snapshot_download('c/d')", "modelscope"),
        ("model.llm.pretrained_model_name_or_path = snapshot_download(model_id='c/d')", "modelscope"),
        ("model.llm.pretrained_model_name_or_path = hub_download('c/d', revision='v2')", "hub"),
    ],
)
def test_a_model_downloaded_by_a_hub_is_that_hub_s(tmp_path: Path, line: str, source: str) -> None:
    modelscope = "from modelscope import snapshot_download"
    hub = "import huggingface_hub\nhub_download = huggingface_hub.snapshot_download"
    found = taken(imported(tmp_path, modelscope, hub, line))
    assert (found["model.source"], found["model.id"]) == (source, "c/d")
    assert found.get("model.revision") == ("v2" if source == "hub" else None)


def test_a_resource_says_the_hub_and_the_revision_of_the_model(tmp_path: Path) -> None:
    resource = "model_resource = dict(fn=snapshot_download, args=dict(revision='v1'))"
    config = imported(tmp_path, "from modelscope import snapshot_download", resource)
    assert config.values()["model"] == {"source": "modelscope", "id": "a/b", "revision": "v1"}
    assert remarks(config, "lost") == {}


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("model.llm.pretrained_model_name_or_path = './a'", "model.source", "local"),
        ("model.llm.pretrained_model_name_or_path = '/a/b/c'", "model.source", "local"),
        ("model.llm.revision = 'v2'", "model.revision", "v2"),
        ("model.llm.torch_dtype = torch.float16", "model.dtype", "auto"),
        ("model.llm.torch_dtype = 'bfloat16'", "model.dtype", "bfloat16"),
        ("model.llm.torch_dtype = torch.float32", "model.dtype", "float32"),
        ("optim_wrapper = dict(type=AmpOptimWrapper)", "model.dtype", "auto"),
        ("optim_wrapper = dict(type=AmpOptimWrapper, dtype='bfloat16')", "model.dtype", "bfloat16"),
        ("model.use_activation_checkpointing = True", "train.gradient_checkpointing", True),
        ("model.lora = dict(type=LoraConfig)", "model.lora.rank", 8),
        ("model.lora = dict(type=LoraConfig)", "model.lora.alpha", 8.0),
        ("model.lora = dict(target_modules='all-linear')", "model.lora.targets", "all-linear"),
        ("model.lora = dict(target_modules=['wqkv'])", "model.lora.targets", ["q_proj", "k_proj", "v_proj"]),
        ("model.loss_type = 'ipo'", "objective.loss", "ipo"),
        ("model.loss_type = 'hinge'", "objective.loss", "hinge"),
        ("model.beta = 0.3", "objective.beta", 0.3),
        ("train_dataset.max_length = 100", "data.max_length", 100),
        ("train_dataset.dataset.name = 'small'", "data.sources.0.subset", "small"),
        ("train_dataset.dataset.split = 'train[:9]'", "data.sources.0.split", "train[:9]"),
        ("train_dataset.dataset.revision = 'v1'", "data.sources.0.revision", "v1"),
        ("train_dataset.dataset.update(path='json', data_files='a.jsonl')", "data.sources.0.path", "a.jsonl"),
        (
            "train_dataset.dataset.update(path='json', data_files=dict(train=['a.jsonl'], test='b'))",
            "data.sources.0.path",
            "a.jsonl",
        ),
        ("optim_wrapper = dict(optimizer=dict(type=Lion, weight_decay=0.1))", "optimizer.weight_decay", 0.1),
        ("optim_wrapper = dict(clip_grad=dict(max_norm=0.5))", "optimizer.max_grad_norm", 0.5),
        ("optim_wrapper = dict(accumulative_counts=4)", "train.pairs_per_step", 4),
        ("train_dataloader = dict(batch_size=3)", "train.pairs_per_step", 3),
        ("param_scheduler = dict(type=CosineAnnealingLR, eta_min=0.0)", "optimizer.schedule", "cosine"),
        ("param_scheduler = [dict(type=LinearLR, end_factor=0.0)]", "optimizer.schedule", "linear"),
        ("param_scheduler = None", "optimizer.schedule", "constant"),
        ("train_cfg = dict(type=TrainLoop, max_epochs=2)", "train.epochs", 2),
        ("train_cfg = dict(type=TrainLoop, max_iters=7)", "train.max_steps", 7),
        ("default_hooks = dict(checkpoint=dict(by_epoch=False, interval=7))", "train.save_every", 7),
        ("default_hooks = dict(checkpoint=dict(max_keep_ckpts=5))", "train.keep", 5),
        ("default_hooks = dict(logger=dict(interval=5))", "train.log_every", 5),
        ("randomness = dict(seed=7)", "run.seed", 7),
        ("sequence_parallel_size = 1", "launch.devices", None),
    ],
)
def test_a_setting_becomes_ours(tmp_path: Path, line: str, key: str, value: Any) -> None:
    assert taken(imported(tmp_path, line)).get(key) == value


def test_iterations_become_optimizer_steps(tmp_path: Path) -> None:
    config = imported(
        tmp_path,
        "optim_wrapper = dict(accumulative_counts=16)",
        "train_cfg = dict(max_iters=100)",
        "default_hooks = dict(checkpoint=dict(by_epoch=False, interval=500), logger=dict(interval=10))",
        "train_dataloader = dict(batch_size=2)",
    )
    found = taken(config)
    assert (found["train.max_steps"], found["train.save_every"], found["train.log_every"]) == (7, 31, 1)
    assert found["train.pairs_per_step"] == 32
    assert remarks(config, "differs")["iterations"].params == {"counts": 16}
    assert remarks(config, "differs")["batch"].params == {"pairs": 32}


def test_a_warm_up_by_iterations_is_a_share_of_all_of_them(tmp_path: Path) -> None:
    warm = "param_scheduler = [dict(type=LinearLR, by_epoch=False, end=30), dict(type=CosineAnnealingLR)]"
    config = imported(tmp_path, warm, "train_cfg = dict(max_iters=300)")
    assert taken(config)["optimizer.warmup_ratio"] == 0.1
    lost = remarks(imported(tmp_path, warm, "train_cfg = dict(max_epochs=3)"), "lost")
    assert lost["warmup"].place == Place(4)


def test_devices_that_share_a_sequence_are_counted(tmp_path: Path) -> None:
    lines = (
        "sequence_parallel_size = 2",
        "optim_wrapper = dict(accumulative_counts=16 * sequence_parallel_size)",
    )
    found = taken(imported(tmp_path, *lines))
    assert (found["launch.devices"], found["launch.sequence_parallel"]) == (2, 2)
    assert found["train.pairs_per_step"] == 32


def test_packs_are_not_pairs(tmp_path: Path) -> None:
    lines = (
        "model.use_varlen_attn = True",
        "train_dataset.update(use_varlen_attn=True, max_packed_length=4096, max_length=2048)",
    )
    config = imported(tmp_path, *lines)
    assert {"packed_batch", "packing"} < remarks(config, "differs").keys()
    assert "batch" not in remarks(config, "differs")
    assert remarks(config, "lost") == {}


def test_robust_without_label_smoothing_is_taken_for_the_sigmoid_that_it_is(tmp_path: Path) -> None:
    config = imported(tmp_path, "model.loss_type = 'robust'")
    assert taken(config)["objective.loss"] == "sigmoid"
    assert "robust" in remarks(config, "differs")


@pytest.mark.parametrize("loss", ["ipo", "hinge"])
def test_label_smoothing_is_left_out_where_xtuner_ignored_it(tmp_path: Path, loss: str) -> None:
    config = imported(tmp_path, f"model.update(loss_type='{loss}', label_smoothing=0.1)")
    assert "objective.label_smoothing" not in taken(config)
    assert remarks(config, "differs")["smoothing"].params == {"loss": loss}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("tokenizer = dict(pretrained_model_name_or_path='other/one')", "tokenizer"),
        ("model.ref_llm = dict(pretrained_model_name_or_path='other/one')", "reference"),
        ("model.llm.torch_dtype = torch.float8", "dtype"),
        ("model.lora = dict(bias='all')", "adapter"),
        ("model.lora = dict(use_dora=True)", "adapter"),
        ("model.lora = dict(target_modules='.*proj')", "pattern"),
        ("model.llm.quantization_config = dict(load_in_8bit=True)", "quantization"),
        ("model.llm.quantization_config = dict(load_in_4bit=True)", "quantization"),
        (
            "model.llm.quantization_config = dict(load_in_4bit=True, bnb_4bit_quant_type='nf4')",
            "quantized_whole",
        ),
        ("model.pretrained_pth = 'a.pth'", "weights"),
        ("load_from = 'a.pth'", "weights"),
        ("optim_wrapper = dict(optimizer=dict(type=Lion))", "optimizer"),
        ("optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.95)))", "betas"),
        ("optim_wrapper = dict(optimizer=dict(eps=1e-6))", "epsilon"),
        ("optim_wrapper = dict(clip_grad=dict(clip_value=1))", "clipping"),
        ("optim_wrapper = dict(clip_grad=dict(max_norm=1, norm_type=1))", "clipping"),
        ("optim_wrapper = dict(accumulative_counts=-2)", "counts"),
        ("optim_wrapper = dict(paramwise_cfg=dict(bias_decay_mult=0))", "left_over"),
        ("param_scheduler = dict(type=PolyLR)", "schedule"),
        ("param_scheduler = dict(type=CosineAnnealingLR, eta_min=1e-8)", "ends_above"),
        (
            "param_scheduler = dict(type=CosineAnnealingLR, end=1); train_cfg = dict(max_epochs=3)",
            "ends_early",
        ),
        ("default_hooks = dict(checkpoint=dict(interval=1))", "save_epochs"),
        ("default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))", "keep_all"),
        ("custom_hooks = [dict(type=EvaluateChatHook)]", "chat"),
        ("custom_hooks = [dict(type=MyHook)]", "hook"),
        ("visualizer = dict(type=Visualizer)", "visualizer"),
        ("resume = True", "resume"),
        ("strategy = dict(type=DeepSpeedStrategy)", "strategy"),
        ("work_dir = './work_dirs'", "runs"),
        ("train_dataloader = dict(sampler=dict(shuffle=False))", "order"),
        ("train_dataset.dataset_map_fn = my_map_fn", "rows"),
        ("train_dataset.dataset = dict(type=load_jsonl_dataset, data_dir='a')", "folder"),
        ("model.beta = dict(a=1)", "unread"),
        ("model.beta = guess()", "unread"),
        ("model.beta = True", "unread"),
        ("nonsense = dict(a=1)", "left_over"),
        ("model.llm.rope_scaling = dict(factor=2)", "left_over"),
    ],
)
def test_what_has_no_equal_is_told_with_its_line(tmp_path: Path, line: str, code: str) -> None:
    lost = remarks(imported(tmp_path, line), "lost")
    assert lost[code].place == Place(4)


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("custom_hooks = make_hooks()", "custom_hooks"),
        ("optim_wrapper = build()", "optim_wrapper"),
        ("optim_wrapper = dict(optimizer=build())", "optim_wrapper.optimizer"),
        ("param_scheduler = build()", "param_scheduler"),
        ("default_hooks = dict(checkpoint=build())", "default_hooks.checkpoint"),
        ("model.llm.quantization_config = build()", "model.llm.quantization_config"),
        ("model.lora = build()", "model.lora"),
        ("train_dataset.max_length = unknown", "train_dataset.max_length"),
        ("anything = build()", "anything"),
        ("optim_wrapper = dict(accumulative_counts=unknown)", "optim_wrapper.accumulative_counts"),
    ],
)
def test_what_is_not_read_is_told_once(tmp_path: Path, line: str, about: str) -> None:
    told = [one for one in imported(tmp_path, line).remarks if one.kind == "lost"]
    assert [(one.code, one.about, one.place) for one in told] == [("unread", about, Place(4))]


def test_two_data_sets_of_two_lengths_have_that_of_the_first(tmp_path: Path) -> None:
    two = "[dict(**train_dataset, max_length=90), dict(**train_dataset, max_length=80)]"
    config = imported(tmp_path, f"train_dataset = dict(datasets={two})")
    assert taken(config)["data.max_length"] == 90
    assert [taken(config)[f"data.sources.{index}.path"] for index in (0, 1)] == ["c/d", "c/d"]
    assert "lengths" in remarks(config, "lost")


def test_a_constant_is_named_by_the_line_that_sets_it(tmp_path: Path) -> None:
    config = imported(tmp_path, "beta = 0.1", "beta = 0.2", "model.beta = beta")
    assert next(one.origins for one in config.taken if one.key == "objective.beta") == (
        Origin("beta", Place(5)),
    )


def test_every_key_in_the_table_is_one_of_the_schema() -> None:
    for row in ROWS:
        key = tuple(row.key.split("."))
        assert not row.key or field_at(key) is not None, row.key
    assert Config.model_fields.keys() >= {row.key.partition(".")[0] for row in ROWS if row.key}


def test_the_page_shows_the_whole_table_in_its_order() -> None:
    page = (PACKAGE.parents[1] / "docs" / "xtuner.md").read_text(encoding="utf-8")
    lines = page.partition("| in the config of XTuner | here |")[2].strip().splitlines()[1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [theirs.strip("`") for theirs, _ in cells] == [row.where for row in ROWS]
    assert [
        row for row, (_, ours) in zip(ROWS, cells, strict=True) if f"`{row.key}`" not in ours and row.key
    ] == []


def test_every_remark_and_reason_has_its_sentence_and_no_sentence_is_idle() -> None:
    said = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.add(node.value)
    for language in LANGUAGES:
        texts = {key.split(".", 1)[1] for key in catalogue(language) if key.startswith("import.")}
        for text in texts:
            kind, _, code = text.partition(".")
            assert (code or kind) in said or f"import.{text}" in said, text
    assert {key for key in catalogue("en") if key.startswith("import.")} == {
        key for key in catalogue("zh") if key.startswith("import.")
    }
