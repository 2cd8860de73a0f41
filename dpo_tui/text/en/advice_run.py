"""What to do about the errors, warnings and endings of runs."""

TEXTS: dict[str, str] = {
    "advice.run.stopped": (
        "The checkpoint holds everything up to its step, optimizer included. Resume goes on from there, "
        "and ends with the same weights as without a stop."
    ),
    "advice.run.stopped_early": "Nothing was trained yet. Resume starts it again.",
    "advice.run.killed": "The steps after the last checkpoint are lost. Resume trains them again.",
    "advice.run.never_started": (
        "The process that should run it never said a word. Look into train.log, then resume."
    ),
    "advice.run.silent": (
        "It runs on another machine, or did. Look there before you resume: two processes in one run "
        "directory damage each other."
    ),
    "advice.run.orphaned": (
        "The process that watched the run died, most likely with the machine or by the kernel. Resume "
        "goes on from the last checkpoint."
    ),
    "advice.run.locked": "Another process has this run. Wait for its end, or attach to it.",
    "advice.run.bad_revisions": (
        "Without the recorded commits a resumed run could go on with other weights or data."
    ),
    "advice.supervisor.failed": (
        "This is a fault of dpo-tui or of the machine. train.log has the traceback; resume goes on from "
        "the last checkpoint."
    ),
    "advice.rank.exited": (
        "One training process ended by itself. The last lines of its log say why; all of it is in ranks/ "
        "in the run directory."
    ),
    "advice.rank.killed": (
        "Something outside ended the training process. With signal 9 that is most often the kernel, "
        "short of memory: lower train.tokens_per_pack, turn on train.gradient_checkpointing, or train a "
        "LoRA. Then resume."
    ),
    "advice.train.out_of_memory": (
        "Lower train.tokens_per_pack first: it changes no result. Then train.gradient_checkpointing, "
        "then data.max_length. LoRA needs the least. Steps done are in the checkpoint."
    ),
    "advice.train.crashed": (
        "This should not happen. The traceback in train.log names the place; resume goes on from the "
        "last checkpoint."
    ),
    "advice.train.non_finite": (
        "The training diverged. In DPO that is nearly always a learning rate that is too high: divide it "
        "by 5 to 10. A very small beta, or pairs with broken text, do it as well. The checkpoint is from "
        "before."
    ),
    "advice.train.non_finite_start": (
        'Nothing was trained yet, so the learning rate is not to blame. Try model.dtype = "float32"; if '
        "that helps, the model overflows in bfloat16. If not, its weights or a pair are broken."
    ),
    "advice.train.reference_differs": (
        "DPO measures how far the policy moves from the reference, so both must start the same. Kernels "
        "that do not repeat their results make the margin noise."
    ),
    "advice.policy.mode": (
        "The result is the same, and the training slower: this model or this setting does not allow the "
        "faster way to compute a pair."
    ),
    "advice.compile.fallback": (
        "The result is the same, and the training slower. Install a C++ compiler (g++), or set train.compile = "
        '"off" to be told no more.'
    ),
    "advice.memory.tight": (
        "The estimate can be a tenth off either way, so the run goes on. If it does run out of memory, make the change "
        "and start again: packs and checkpointing change no result, adapters train another way."
    ),
    "advice.memory.unknown": (
        "Nothing is wrong with the training. A smaller pack takes less memory and changes no result."
    ),
    "advice.resume.devices": (
        "Each step has the same pairs as before; sums are only rounded in another order. The result is as good, but no "
        "longer the same to the last bit."
    ),
    "advice.launch.no_ops": "Only ZeRO on a CPU needs it: ddp compiles nothing there.",
    "advice.launch.few_gpus": "CUDA_VISIBLE_DEVICES hides some. Set launch.devices to as many as there are to be seen.",
    "advice.launch.deepspeed_key": (
        "Optimizer, learning rate and precision are set in the TOML, so that one config trains the same model on any "
        "number of devices."
    ),
    "advice.launch.deepspeed_conflict": (
        "Say it once: the TOML decides, and the file is for keys that are DeepSpeed's alone."
    ),
    "advice.launch.bad_deepspeed": (
        "It should be one JSON object with keys of DeepSpeed. `--dry-run` shows what is made of both."
    ),
    "advice.launch.world_size": (
        "Something started more or fewer processes than the config asks for. Set launch.devices to their "
        "number, or start with dpo-tui alone."
    ),
    "advice.gates.missed": (
        "The training went well; the model is not as good as you asked for. Look at the curves: if the "
        "margin still rises, train longer; if eval loss rises, train shorter, with a lower learning rate "
        "or a higher beta."
    ),
    "advice.gates.dropped": (
        "More rows than you allow teach nothing. The data report names the reason of each; often it is "
        "the format, the columns, or max_length."
    ),
    "advice.gates.no_eval": "A gate that looks at evaluation needs pairs to evaluate on.",
    "advice.checkpoint.unverified": (
        "What was written is not what the disk gives back. Do not trust this disk with more checkpoints "
        "before you have checked it."
    ),
    "advice.checkpoint.no_space": (
        "A checkpoint holds three fp32 numbers for each trained weight. A smaller train.keep, another "
        "disk, or LoRA needs less."
    ),
    "advice.checkpoint.bad": (
        "It is passed over, and the newest one before it that is whole is used. Some steps are trained again."
    ),
    "advice.checkpoint.misfit": (
        "The model or [model.lora] is another than the checkpoint was trained with. Put both back as "
        "they were."
    ),
    "advice.resume.changed": (
        "A resumed run must end as if it had never stopped; with other data, another model or other "
        "settings it cannot."
    ),
    "advice.reference.cannot_write": (
        "The log-probabilities of the reference are kept, so that no run computes them twice."
    ),
    "advice.disk.cannot_write": (
        "Free some space or mend the permissions, then resume. The checkpoints written before are whole."
    ),
    "advice.preview.died": (
        "The next preview starts it again. If it happens each time, the model or the data may need more "
        "memory than there is."
    ),
    "advice.preview.failed": (
        "Only the preview failed; a run can still be started. The message tells what it stumbled over."
    ),
    "advice.launch.sequence_heads": (
        "Each process computes as many of the attention heads as the others, for every token."
    ),
    "advice.launch.sequence_mode": (
        "A model whose attention cannot be replaced runs one sequence at a time, in one process."
    ),
}
