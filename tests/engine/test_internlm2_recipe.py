"""The whole recipe: template, training, stop and resume, both layouts of the export, an answer; two processes too."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from dpo_tui.export_story import Result, Story, result_of
from dpo_tui.widgets.export_view import ExportView
from engine.config.load import load_config
from engine.config.schema import Model
from engine.exits import StopRequested
from engine.export.export import export
from engine.export.files import write_words
from engine.export.original import code_revision, keep_original_files, missing_code
from engine.export.source import Source, find_source
from engine.models.load import load_model, load_tokenizer
from engine.models.resolve import ResolvedModel, resolve
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from tests.engine.internlm2_folder import write_internlm2
from tests.engine.internlm2_recipe import recipe, write_orpo_rows
from tests.engine.ranks import train_together
from tests.engine.runs import final_weights, of_type, stop_at, train_here

QUICK = (
    'model.dtype="float32"',
    "train.pairs_per_step=6",
    "train.max_steps=4",
    "train.save_every=2",
    "optimizer.learning_rate=1e-3",
    "export.enabled=false",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_internlm2(tmp_path_factory.mktemp("internlm2"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_orpo_rows(tmp_path_factory.mktemp("rows") / "orpo.jsonl")


def run_of(folder: Path, name: str, base: Path, rows: Path, *overrides: str) -> RunDir:
    """A run directory with the recipe in it, as the launcher writes it."""
    config = recipe(folder, base, rows)
    run = RunDir(folder / name)
    run.root.mkdir()
    run.config.write_text(load_config(config, (*QUICK, *overrides)).document.dumps(), encoding="utf-8")
    config.unlink()
    return run


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, base: Path, rows: Path) -> RunDir:
    """The recipe by one process, stopped after two steps and resumed."""
    run = run_of(tmp_path_factory.mktemp("alone"), "recipe", base, rows)
    with pytest.MonkeyPatch.context() as patch:
        control = stop_at(patch, run, last=2)
        with pytest.raises(StopRequested):
            train_here(run)
    control.clear()
    assert CheckpointIndex(run.checkpoints_dir).latest() == 2
    events = train_here(run)
    assert [event["from_step"] for event in of_type(events, "resume")] == [2]
    assert [event["step"] for event in of_type(events, "step")] == [1, 2, 3, 4]
    return run


def test_it_learns_the_preferences_and_leaves_the_named_source_out(alone: RunDir, rows: Path) -> None:
    steps = of_type(train_here(alone), "step")
    assert steps[-1]["rewards/margins"] > steps[0]["rewards/margins"] == 0
    names = {json.loads(line)["source"] for line in rows.read_text(encoding="utf-8").splitlines()}
    assert names == {"Airoboros", "toxic-dpo-v0.2"}
    record = json.loads((alone.data_dir / "report.json").read_text(encoding="utf-8"))
    assert record["report"]["dropped"]["excluded"]["count"] == 4


def test_the_original_layout_is_the_bases_own(alone: RunDir, base: Path) -> None:
    folder = export(alone, to=alone.root / "original").path
    for name in ("config.json", "tokenizer.model", "tokenizer_config.json", "modeling_internlm2.py"):
        assert (folder / name).read_bytes() == (base / name).read_bytes(), name
    before = {key for file in base.glob("*.safetensors") for key in load_file(file)}
    assert {key for file in folder.glob("*.safetensors") for key in load_file(file)} == before
    assert not (folder / "tokenizer.json").exists()
    again = Model(source="local", id=str(folder))
    model, tokenizer = load_model(again).model, load_tokenizer(again)
    trained = final_weights(alone)
    assert all(torch.equal(weight, trained[name]) for name, weight in model.named_parameters())
    assert says(model, tokenizer)


def test_card_and_app_load_each_layout_as_transformers_must(alone: RunDir) -> None:
    for layout, trusting in (("original", 2), ("native", 0)):
        folder = export(alone, to=alone.root / f"shown-{layout}", layout=layout, verify=False).path  # type: ignore[arg-type]
        found = result_of(folder)
        assert found is not None
        shown = snippet_of(found)
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert shown in card
        assert "apply_chat_template" in shown
        assert shown.count("trust_remote_code=True") == trusting
        assert ("that code before you let it run" in card) == bool(trusting)


def test_code_that_was_not_downloaded_is_named_in_the_bases_repo(
    alone: RunDir, base: Path, tmp_path: Path
) -> None:
    here, repo = tmp_path / "here", "internlm/internlm2-chat-1_8b-sft"
    shutil.copytree(base, here, ignore=shutil.ignore_patterns("*.py"))
    folder = tmp_path / "export"
    folder.mkdir()
    config = load_config(alone.config).config
    resolved = ResolvedModel("hub", repo, here, None, "a" * 40, False)
    source = replace(find_source(alone, 4, None, False, folder, None, "original"), base=resolved)
    keep_original_files(folder, source, load_tokenizer(config.model))
    code = json.loads((folder / "config.json").read_text())["auto_map"]
    assert code["AutoModelForCausalLM"] == f"{repo}--modeling_internlm2.InternLM2ForCausalLM"
    code = json.loads((folder / "tokenizer_config.json").read_text())["auto_map"]
    assert code["AutoTokenizer"] == [f"{repo}--tokenization_internlm2.InternLM2Tokenizer", None]
    write_words(folder, source, {"own_code": True}, None)
    found = result_of(folder)
    assert found is not None
    shown = snippet_of(found)
    assert shown in (folder / "README.md").read_text(encoding="utf-8")
    assert f'code = {{"trust_remote_code": True, "code_revision": \'{"a" * 40}\'}}' in shown
    assert shown.count("**code)") == 2


def test_a_commit_is_said_only_of_code_in_the_bases_own_repo(
    alone: RunDir, base: Path, tmp_path: Path
) -> None:
    local = find_source(alone, 4, None, False, tmp_path, None)
    here = ResolvedModel("hub", "owner/own", base, None, "a" * 40, False)
    assert code_revision(replace(local, base=here)) is None  # its files are copied
    bare = tmp_path / "bare"
    shutil.copytree(base, bare, ignore=shutil.ignore_patterns("*.py"))
    away = replace(local, base=replace(here, path=bare))
    assert code_revision(away) == "a" * 40
    assert code_revision(replace(away, layout="native")) is None
    assert code_revision(replace(away, base=replace(away.base, source="local", commit=None))) is None
    for repo, expected in (("owner/own", "a" * 40), ("owner/other", None)):
        (bare / "tokenizer_config.json").write_text(
            json.dumps({"auto_map": {"AutoTokenizer": [f"{repo}--tokenization_internlm2.X", None]}})
        )
        assert code_revision(away) == expected


def test_as_a_llama_plain_transformers_loads_it(alone: RunDir) -> None:
    folder = export(alone, to=alone.root / "native", layout="native").path
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(model) is LlamaForCausalLM
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    original = load_tokenizer(load_config(alone.config).config.model)
    text = "<|im_start|>user\n Two  words \u5929\u7a7a \U0001f98b<|im_end|>\n"
    assert tokenizer(text).input_ids == original(text).input_ids
    assert tokenizer.chat_template == original.chat_template
    assert says(model, tokenizer)


def says(model: torch.nn.Module, tokenizer: object) -> str:
    """What it answers, by the chat template."""
    ids = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
        [{"role": "user", "content": "3 tea?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.no_grad():
        out = model.generate(**ids, max_new_tokens=8, do_sample=False)  # type: ignore[operator]
    answer: str = tokenizer.decode(out[0, ids["input_ids"].shape[1] :])  # type: ignore[attr-defined]
    return answer


def test_two_processes_train_the_same(alone: RunDir, base: Path, rows: Path, tmp_path: Path) -> None:
    ways = {
        way: run_of(tmp_path, way, base, rows, "launch.devices=2", f'launch.strategy="{way}"')
        for way in ("zero2", "zero3")
    }
    train_together(list(ways.values()))
    expected = final_weights(alone)
    for way, run in ways.items():
        folder = export(run, to=run.root / "original", verify=False).path
        model = load_model(Model(source="local", id=str(folder))).model
        for name, weight in model.named_parameters():
            torch.testing.assert_close(weight, expected[name], atol=1e-5, rtol=0, msg=f"{way}: {name}")


@pytest.mark.parametrize("layout", ["original", "native"])
def test_adapters_are_merged_into_either_layout(base: Path, rows: Path, tmp_path: Path, layout: str) -> None:
    run = run_of(tmp_path, "lora", base, rows, "model.lora.rank=4", "train.max_steps=2")
    train_here(run)
    exported = export(run, to=tmp_path / layout, layout=layout)  # type: ignore[arg-type]
    assert exported.proof is not None
    assert exported.proof.bitwise


def test_an_adapter_alone_says_whose_names_it_has(base: Path, rows: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, "lora", base, rows, "model.lora.rank=4", "train.max_steps=2")
    train_here(run)
    exported = export(run, to=tmp_path / "adapter", adapter=True)
    assert "export.family_adapter" in [notice.code for notice in exported.notices]
    card = (exported.path / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    found = result_of(exported.path)
    assert found is not None
    assert program.strip() == snippet_of(found)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=exported.path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def snippet_of(found: Result) -> str:
    """The program that the app shows."""
    view = ExportView.__new__(ExportView)
    view._result, view._story = replace(found, path=Path(".")), Story()
    return view.snippet()


def test_an_export_that_names_code_elsewhere_is_trained_whoever_is_trusted(
    base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "named"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {key: f"owner/other--{value}" for key, value in config["auto_map"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    load_model(Model(source="local", id=str(folder), trust_remote_code=True))


def test_the_base_in_4_bits_trains_and_exports(base: Path, rows: Path, tmp_path: Path) -> None:
    nf4 = ("model.lora.rank=4", 'model.lora.quantization="nf4"', "train.max_steps=2")
    run = run_of(tmp_path, "qlora", base, rows, *nf4)
    train_here(run)
    assert export(run, to=tmp_path / "merged").proof is not None
    assert load_model(Model(source="local", id=str(tmp_path / "merged")))
    found = result_of(export(run, to=tmp_path / "adapter", adapter=True, verify=False).path)
    assert found is not None
    shown = snippet_of(found)
    assert shown in (tmp_path / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "load_in_4bit=True" in shown


def test_code_that_is_not_there_is_told(rows: Path, tmp_path: Path) -> None:
    """As of a model from a hub that names no repo in a config; of one from the other hub the repo is named."""
    bare = write_internlm2(tmp_path / "bare")
    for code in bare.glob("*.py"):
        code.unlink()
    run = run_of(tmp_path, "bare-run", bare, rows, "train.max_steps=2")
    train_here(run)
    exported = export(run, to=tmp_path / "original", verify=False)
    told = {notice.code: notice.params for notice in exported.notices}
    files = ["configuration_internlm2.py", "modeling_internlm2.py", "tokenization_internlm2.py"]
    assert told == {"export.code_missing": {"files": files}}
    hub = replace(source_of(run), base=replace(resolve(model_of(run)), source="hub", id="owner/name"))
    keep_original_files(exported.path, hub, load_tokenizer(model_of(run)))
    for name, key in (("config.json", "AutoModel"), ("tokenizer_config.json", "AutoTokenizer")):
        found = json.loads((exported.path / name).read_text())["auto_map"][key]
        assert "owner/name--" in str(found)
    assert not missing_code(hub)


def model_of(run: RunDir) -> Model:
    return load_config(run.config).config.model


def source_of(run: RunDir) -> Source:
    return find_source(run, "latest", None, False, run.export_dir, None)
