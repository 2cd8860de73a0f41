"""What `dpo-tui doctor` finds: doctor.<name>.<verdict>, and with .do what to do about it."""

TEXTS = {
    "doctor.engine.bad": "the engine cannot look: {why}",
    "doctor.engine.bad.do": "Install dpo-tui anew in a fresh environment: pip install dpo-tui",
    "doctor.torch.ok": "torch {torch} for {build}, Python {python}",
    "doctor.gpus.ok": "{count} GPUs with {memory} each: {names}",
    "doctor.gpus.note": "no NVIDIA GPU: it trains on {cores} CPU cores",
    "doctor.gpus.bad": "the driver has {count} GPUs, and torch {torch} can use none of them",
    "doctor.gpus.bad.do": (
        "Install a torch that was built for CUDA, and for a version the driver knows (nvidia-smi shows it); look at "
        "CUDA_VISIBLE_DEVICES."
    ),
    "doctor.bf16.ok": "bfloat16: it has instructions for it",
    "doctor.bf16.note": 'bfloat16: none of its own; model.dtype = "auto" computes in float32',
    "doctor.compiler.ok": "compiler: layers can be compiled",
    "doctor.compiler.warn": "compiler: layers cannot be compiled: {why}",
    "doctor.compiler.warn.do": "Install a C++ compiler (g++). Without it trainings give the same result, slower.",
    "doctor.attention.ok": "attention: the kernel for this processor is built",
    "doctor.attention.warn": "attention: the kernel for this processor cannot be built: {why}",
    "doctor.attention.warn.do": "Install a C++ compiler (g++). Without it attention is torch's own, and slower.",
    "doctor.deepspeed.ok": "DeepSpeed {version}",
    "doctor.deepspeed.warn": "DeepSpeed is not installed: zero1, zero2 and zero3 cannot be used",
    "doctor.deepspeed.warn.do": "Install it: pip install deepspeed",
    "doctor.modelscope.ok": "ModelScope: its package is installed ({version})",
    "doctor.modelscope.note": "ModelScope: its package is not installed. For models and data of it, run: {command}",
    "doctor.bitsandbytes.ok": "bitsandbytes {version}: QLoRA works",
    "doctor.bitsandbytes.note": "bitsandbytes is not installed; only QLoRA needs it: {command}",
    "doctor.lock.warn": "DeepSpeed: a build took {path} {minutes} minutes ago",
    "doctor.lock.warn.do": (
        "If nothing is being built, that build was killed. dpo-tui removes the lock after ten minutes; other programs "
        "wait for it without end: delete it."
    ),
    "doctor.network.ok": "processes talk by {found}",
    "doctor.network.warn": "processes cannot talk by {lacking}",
    "doctor.network.warn.do": "This torch was built without it: several devices need one that has it.",
    "doctor.memory.ok": "memory: {free} of {total} free",
    "doctor.memory.warn": "memory: only {free} of {total} free",
    "doctor.memory.warn.do": "Close what else is running; `dpo-tui --headless CONFIG --dry-run` says what a run takes.",
    "doctor.disk.ok": "disk: {free} free for runs in {path}",
    "doctor.disk.warn": "disk: only {free} free for runs in {path}",
    "doctor.disk.warn.do": (
        "A checkpoint takes 12 bytes a trained weight. Free space, or choose another place with --runs."
    ),
    "doctor.disk.bad": "disk: no runs can be kept in {path}: {why}",
    "doctor.disk.bad.do": "Change to a folder that is yours, or choose another place with --runs.",
    "doctor.cache.ok": "cache: {free} free in {path}",
    "doctor.cache.warn": "cache: only {free} free in {path}",
    "doctor.cache.warn.do": "It saves time and no more. XDG_CACHE_HOME puts it elsewhere.",
    "doctor.cache.bad": "cache: {path} cannot be used: {why}",
    "doctor.cache.bad.do": "Set XDG_CACHE_HOME to a folder that is yours.",
    "doctor.slurm.ok": "Slurm {version}",
    "doctor.slurm.note": "no Slurm here",
    "doctor.slurm.warn": "Slurm is installed and does not answer: {why}",
    "doctor.slurm.warn.do": "Is this a login node of the cluster? `sinfo` must work.",
    "doctor.hub.ok": "Hugging Face hub: logged in as {name}",
    "doctor.hub.warn": "Hugging Face hub: it refuses the token of this machine",
    "doctor.hub.warn.do": "Log in again with `hf auth login`, or set HF_TOKEN anew.",
    "doctor.hub_none.note": "Hugging Face hub: not logged in; public models and datasets need no login",
    "doctor.hub_offline.note": "Hugging Face hub: switched off (HF_HUB_OFFLINE); what is cached can be used",
    "doctor.hub_unreachable.note": "Hugging Face hub: not reached from here; what is cached can be used",
}
