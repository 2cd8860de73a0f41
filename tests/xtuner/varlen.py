# What full.py says, but packed, by iterations, and with the model and the pairs of ModelScope.
from mmengine.config import read_base

with read_base():
    from .full import *

from modelscope import MsDataset, snapshot_download
from mmengine.optim import CosineAnnealingLR, LinearLR
from xtuner.engine.hooks import ThroughputHook, VarlenAttnArgsToMessageHubHook
from xtuner.engine.runner import TrainLoop

max_length = 4096
max_packed_length = max_length * 2
max_iters = 3000

model_resource = dict(fn=snapshot_download, args=dict(cache_dir="./cache"))
model.update(use_varlen_attn=True, loss_type="hinge")
model.llm.pretrained_model_name_or_path = "Shanghai_AI_Laboratory/internlm2-chat-1_8b-sft"
tokenizer["pretrained_model_name_or_path"] = model.llm.pretrained_model_name_or_path

train_dataset.dataset = dict(type=MsDataset.load, dataset_name="AI-ModelScope/orpo-dpo-mix-40k", split="train")
train_dataset.update(
    dict(use_varlen_attn=True, max_length=max_length, max_packed_length=max_packed_length, tokenizer=tokenizer)
)
train_dataloader.update(dataset=train_dataset, batch_size=1)

param_scheduler = [
    dict(type=LinearLR, start_factor=1e-5, by_epoch=False, begin=0, end=300),
    dict(type=CosineAnnealingLR, eta_min=0.0, by_epoch=False, begin=300, end=max_iters),
]
train_cfg = dict(type=TrainLoop, max_iters=max_iters)
custom_hooks = [dict(type=VarlenAttnArgsToMessageHubHook), dict(type=ThroughputHook)]
