# Adapters on a model in four bits, with other keys than full.py where the two may differ.
import torch
from datasets import load_dataset
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook
from mmengine.optim import AmpOptimWrapper, CosineAnnealingLR, LinearLR
from peft import LoraConfig
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from xtuner.dataset.preference_dataset import build_preference_dataset, intel_orca_dpo_map_fn
from xtuner.engine.runner import TrainLoop
from xtuner.model.dpo import DPO

base = "internlm"
pretrained_model_name_or_path = f"{base}/internlm2-chat-7b-sft"
dpo_loss_type = "ipo"
loss_beta = 0.2
max_length = 1024
batch_size = 2
accumulative_counts = 8
max_epochs = 2
lr = 1e-5
warmup_ratio = 0.1
save_steps = 400

tokenizer = dict(type=AutoTokenizer.from_pretrained, pretrained_model_name_or_path=pretrained_model_name_or_path)

model = dict(
    type=DPO,
    use_activation_checkpointing=True,
    loss_type=dpo_loss_type,
    beta=loss_beta,
    llm=dict(
        type=AutoModelForCausalLM.from_pretrained,
        pretrained_model_name_or_path=pretrained_model_name_or_path,
        trust_remote_code=True,
        torch_dtype=torch.float16,
        quantization_config=dict(
            type=BitsAndBytesConfig,
            load_in_4bit=True,
            load_in_8bit=False,
            llm_int8_threshold=6.0,
            llm_int8_has_fp16_weight=False,
            bnb_4bit_compute_dtype=torch.float16,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_quant_type="nf4",
        ),
    ),
    lora=dict(type=LoraConfig, r=64, lora_alpha=16, lora_dropout=0.1, bias="none", task_type="CAUSAL_LM"),
)

train_dataset = dict(
    type=build_preference_dataset,
    dataset=dict(type=load_dataset, path="Intel/orca_dpo_pairs", split="train"),
    tokenizer=tokenizer,
    max_length=max_length,
    dataset_map_fn=intel_orca_dpo_map_fn,
    is_dpo=True,
    is_reward=False,
)

train_dataloader = dict(batch_size=batch_size, dataset=train_dataset, sampler=dict(type=DefaultSampler, shuffle=True))

optim_wrapper = dict(
    type=AmpOptimWrapper,
    optimizer=dict(type=AdamW, lr=lr, betas=(0.9, 0.999), weight_decay=0.01),
    clip_grad=dict(max_norm=0.5),
    accumulative_counts=accumulative_counts,
    dtype="bfloat16",
)

param_scheduler = [
    dict(type=LinearLR, start_factor=1e-5, begin=0, end=warmup_ratio * max_epochs),
    dict(type=CosineAnnealingLR, eta_min=0.0, begin=warmup_ratio * max_epochs, end=max_epochs),
]
train_cfg = dict(type=TrainLoop, max_epochs=max_epochs)
default_hooks = dict(checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=save_steps, max_keep_ckpts=-1))
randomness = dict(seed=42, deterministic=True)
