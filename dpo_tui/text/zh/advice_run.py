"""针对运行的错误、警告与结束原因的建议。"""

TEXTS: dict[str, str] = {
    "advice.run.stopped": (
        "检查点保存了截至该步的一切，包括优化器状态。继续训练会从那里接着进行，最终权重与没有停止过时相同。"
    ),
    "advice.run.stopped_early": "还没有训练任何东西。继续会重新开始。",
    "advice.run.killed": "最后一个检查点之后的步已丢失。继续会重新训练它们。",
    "advice.run.never_started": "应当运行它的进程没有留下任何消息。请查看 train.log，然后继续。",
    "advice.run.silent": (
        "它在另一台机器上运行，或曾在那里运行。继续之前请到那边看一看：两个进程共用一个运行目录会互相破坏。"
    ),
    "advice.run.orphaned": (
        "监管这次运行的进程已经死亡，多半是机器重启或被内核终止。继续会从最后一个检查点开始。"
    ),
    "advice.run.locked": "另一个进程正占用这个运行。请等它结束，或连接到它。",
    "advice.run.bad_revisions": "没有记录下来的提交，继续的运行可能会用上别的权重或数据。",
    "advice.supervisor.failed": (
        "这是 dpo-tui 或机器的故障。traceback 在 train.log 中；继续会从最后一个检查点开始。"
    ),
    "advice.rank.exited": (
        "有一个训练进程自行结束了。它的日志最后几行说明了原因；完整日志在运行目录的 ranks/ 下。"
    ),
    "advice.rank.killed": (
        "训练进程被外部终止。信号 9 多半是内核因内存不足所为：请调低 train.tokens_per_pack，打开 "
        "train.gradient_checkpointing，或改用 LoRA。然后继续。"
    ),
    "advice.train.out_of_memory": (
        "先调低 train.tokens_per_pack：它不改变结果。其次打开 train.gradient_checkpointing，再其次调低 "
        "data.max_length。LoRA 需要得最少。已完成的步保存在检查点里。"
    ),
    "advice.train.crashed": "这本不该发生。train.log 中的 traceback 指出了位置；继续会从最后一个检查点开始。",
    "advice.train.non_finite": (
        "训练发散了。在 DPO 中几乎总是学习率太高：请除以 5 到 10。beta 太小，或偏好对里有损坏的文本，也会"
        "如此。检查点来自发散之前。"
    ),
    "advice.train.non_finite_start": (
        '此时还没有训练，所以与学习率无关。请试试 model.dtype = "float32"；有效则说明模型在 bfloat16 下溢'
        "出，无效则是权重或某个偏好对有问题。"
    ),
    "advice.train.reference_differs": (
        "DPO 衡量的是策略模型离参考模型多远，因此两者必须从同一点出发。不可重复的计算会把奖励间隔变成噪声。"
    ),
    "advice.policy.mode": "结果相同，只是训练更慢：这个模型或这项设置不允许用更快的方式计算偏好对。",
    "advice.compile.fallback": (
        '结果相同，只是训练更慢。请安装 C++ 编译器（g++），或设 train.compile = "off" 不再提示。'
    ),
    "advice.memory.unknown": "训练本身没有问题。包小一些就用得少一些，且不改变结果。",
    "advice.memory.tight": (
        "估计可能有一成的误差，因此训练照常进行。如果内存真的不足，请作出这项改动再重新开始：包的大小和梯度检查点不"
        "改变结果，适配器则是另一种训练方式。"
    ),
    "advice.resume.devices": "每一步用的偏好对不变，只是求和的顺序不同：结果相同，但不再逐位相同。",
    "advice.launch.no_ops": "只有在 CPU 上用 ZeRO 时才需要它；ddp 在 CPU 上不需要编译任何东西。",
    "advice.launch.few_gpus": "CUDA_VISIBLE_DEVICES 会隐藏一部分。请把 launch.devices 设为可见的数目。",
    "advice.launch.deepspeed_key": (
        "优化器、学习率和精度都在 TOML 里设置，这样一份配置在任何设备数上都训练出同一个模型。"
    ),
    "advice.launch.deepspeed_conflict": "同一件事只说一次：以 TOML 为准，文件里只留 DeepSpeed 自己的调优项。",
    "advice.launch.bad_deepspeed": "它应当是一个 JSON 对象，只含 DeepSpeed 自己的键；`--dry-run` 会显示合并后的结果。",
    "advice.launch.world_size": (
        "启动的进程数与配置不符。请把 launch.devices 设为实际的进程数，或只用 dpo-tui 启动。"
    ),
    "advice.gates.missed": (
        "训练本身没有问题，只是模型没有达到你的要求。请看曲线：若奖励间隔仍在上升，就再训练久一些；若评估"
        " loss 在上升，就缩短训练、降低学习率或提高 beta。"
    ),
    "advice.gates.dropped": (
        "无法用于训练的行超过了你的允许范围。数据报告写明了每一类的原因；常见的是格式、列名或 max_length "
        "不对。"
    ),
    "advice.gates.no_eval": "看评估结果的门槛需要有偏好对可供评估。",
    "advice.checkpoint.unverified": "磁盘读回的与写入的不一致。检查之前，不要再把检查点交给这块磁盘。",
    "advice.checkpoint.no_space": (
        "每个被训练的权重在检查点里占三个 fp32 数。调小 train.keep、换一块磁盘，或用 LoRA，都能减少需求。"
    ),
    "advice.checkpoint.bad": "它会被跳过，改用它之前最新的完好检查点。有些步会重新训练。",
    "advice.checkpoint.misfit": "模型或 [model.lora] 与检查点训练时不同。请把两者恢复原样。",
    "advice.resume.changed": "继续的运行应当与从未停止过的结果一样；换了数据、模型或设置就做不到。",
    "advice.reference.cannot_write": "参考模型的 log 概率会保存下来，这样任何运行都不必重复计算。",
    "advice.disk.cannot_write": "请腾出空间或修正权限，然后继续。之前写好的检查点都是完好的。",
    "advice.preview.died": "下一次预览会重新启动它。如果每次都这样，可能是模型或数据需要的内存超过了现有的。",
    "advice.preview.failed": "失败的只是预览，仍然可以开始运行。消息里写明了它遇到的问题。",
    "advice.launch.sequence_heads": "每个进程为所有 token 计算同样多的一部分注意力头。",
    "advice.launch.sequence_mode": "注意力不能替换的模型只能逐条序列运行。",
}
