# LoRA on files of one's own, two data sets joined.
from mmengine.dataset import ConcatDataset, DefaultSampler
from mmengine.hooks import CheckpointHook
from mmengine.optim import ConstantLR, OptimWrapper
from peft import LoraConfig
from torch import bfloat16
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, AutoTokenizer

from xtuner.dataset.preference_dataset import build_preference_dataset, load_jsonl_dataset
from xtuner.engine.runner import TrainLoop
from xtuner.model.dpo import DPO

model_path = "./models/house-chat"
data_root = "./pairs"
max_length = 512

tokenizer = dict(type=AutoTokenizer.from_pretrained, pretrained_model_name_or_path=model_path, padding_side="right")
model = dict(
    type=DPO,
    loss_type="sigmoid",
    beta=0.05,
    label_smoothing=0.1,
    llm=dict(
        type=AutoModelForCausalLM.from_pretrained,
        pretrained_model_name_or_path=model_path,
        torch_dtype=bfloat16,
    ),
    lora=dict(type=LoraConfig, r=8, lora_alpha=32, target_modules=["q_proj", "v_proj"]),
)

common = dict(type=build_preference_dataset, tokenizer=tokenizer, max_length=max_length, is_dpo=True)
by_name = dict(
    dataset=dict(type=load_jsonl_dataset, data_files=[data_root + "/first.jsonl", data_root + "/second.jsonl"]),
    dataset_map_fn=None,
    **common,
)
by_folder = dict(dataset=dict(type=load_jsonl_dataset, data_dir=f"{data_root}/more", suffix=".jsonl"), **common)
train_dataset = dict(type=ConcatDataset, datasets=[by_name, by_folder])
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    dataset=train_dataset,
    sampler=dict(type=DefaultSampler, shuffle=True),
)

optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=AdamW, lr=2e-5), accumulative_counts=2)
param_scheduler = dict(type=ConstantLR, factor=1)
train_cfg = dict(type=TrainLoop, max_epochs=1)
default_hooks = dict(checkpoint=dict(type=CheckpointHook, by_epoch=True, interval=1))
