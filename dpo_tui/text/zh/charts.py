"""Texts of curves: their names, their keys, numbers and ages, and what they mean."""

TEXTS: dict[str, str] = {
    "time.now": "刚刚",
    "time.ago": "{age}前",
    "time.days": "{n} 天",
    "time.hours": "{n} 小时",
    "time.minutes": "{n} 分钟",
    "time.seconds": "{n} 秒",
    "time.days_hours": "{a} 天 {b} 小时",
    "time.hours_minutes": "{a} 小时 {b:02d} 分",
    "time.minutes_seconds": "{a} 分 {b:02d} 秒",
    "chart.loss": "loss",
    "chart.margins": "rewards/margins",
    "chart.rewards": "rewards",
    "chart.accuracy": "准确率",
    "chart.logps": "logps",
    "chart.rate": "学习率",
    "chart.grad_norm": "梯度范数",
    "chart.speed": "速度",
    "chart.memory": "显存/内存",
    "chart.line.train": "训练",
    "chart.line.eval": "评估",
    "chart.line.chosen": "chosen",
    "chart.line.rejected": "rejected",
    "chart.unit.speed": "对/秒",
    "chart.unit.memory": "GiB",
    "chart.empty": "还没有训练步",
    "chart.absent": "此任务没有上报",
    "chart.log": "对数",
    "chart.zoomed": "已缩放",
    "chart.smoothing.none": "原始值",
    "chart.smoothing.light": "轻度平滑",
    "chart.smoothing.strong": "强平滑",
    "chart.help": (
        "## {name}\n\n{about}\n\n"
        "横轴为优化器步数。灰色带为每一列的最小值到最大值，亮线为滑动平均，圆点为留出的评估数据。"
    ),
    "chart.loss.about": (
        "目标函数的 loss。sigmoid DPO 从 0.693 开始（此时策略与参考模型一致），随着策略学会偏好 chosen "
        "回答而下降。若线下降而圆点上升，说明过拟合。"
    ),
    "chart.margins.about": (
        "相对参考模型，策略对 chosen 的偏好超出 rejected 多少：beta 乘以两者 log-ratio 之差。从 0 开始，应当增长。"
    ),
    "chart.rewards.about": (
        "两个回答各自的 beta ·（策略 logp - 参考 logp）。理想情况是 chosen 保持在 0 附近或以上，而 rejected "
        "下降。若两者都下降，好的回答也在被遗忘。"
    ),
    "chart.accuracy.about": (
        "chosen 的 reward 高于 rejected 的偏好对所占比例。0.5 相当于随机。若很早就达到 "
        "1.0，说明数据太容易或学习率过高。"
    ),
    "chart.logps.about": (
        "策略给整个回答的对数概率，单位 nat。数值随长度变化，重要的是走势：chosen 不应明显下降。"
    ),
    "chart.rate.about": "优化器的学习率：先预热，再按配置中的调度变化。",
    "chart.grad_norm.about": ("裁剪之前的梯度范数。偶尔的尖峰很正常；尖峰频繁说明训练不稳定，请降低学习率。"),
    "chart.speed.about": "每秒训练的偏好对数，不含评估和保存检查点的时间。",
    "chart.memory.about": "到目前为止的峰值：GPU 上为已分配的显存，CPU 上为常驻内存。",
    "key.chart.show": "图表",
    "key.chart.show.tip": "显示此编号的图表并将焦点移到它上面",
    "key.chart.show_2": "图表：rewards/margins",
    "key.chart.show_2.tip": "显示rewards/margins图表并将焦点移到它上面",
    "key.chart.show_3": "图表：rewards",
    "key.chart.show_3.tip": "显示rewards图表并将焦点移到它上面",
    "key.chart.show_4": "图表：准确率",
    "key.chart.show_4.tip": "显示准确率图表并将焦点移到它上面",
    "key.chart.show_5": "图表：logps",
    "key.chart.show_5.tip": "显示logps图表并将焦点移到它上面",
    "key.chart.show_6": "图表：学习率",
    "key.chart.show_6.tip": "显示学习率图表并将焦点移到它上面",
    "key.chart.show_7": "图表：梯度范数",
    "key.chart.show_7.tip": "显示梯度范数图表并将焦点移到它上面",
    "key.chart.show_8": "图表：速度",
    "key.chart.show_8.tip": "显示速度图表并将焦点移到它上面",
    "key.chart.show_9": "图表：显存/内存",
    "key.chart.show_9.tip": "显示显存/内存图表并将焦点移到它上面",
    "key.chart.maximize": "放大",
    "key.chart.maximize.tip": "让当前图表占满空间，或恢复其他图表",
    "key.chart.zoom_in": "放大步数",
    "key.chart.zoom_in.tip": "显示更少的步；若最新一步在视野内则保持可见",
    "key.chart.zoom_out": "缩小步数",
    "key.chart.zoom_out.tip": "显示更多的步",
    "key.chart.earlier": "更早",
    "key.chart.earlier.tip": "移动到更早的步",
    "key.chart.later": "更晚",
    "key.chart.later.tip": "移动到更晚的步；到末尾后图表会重新跟随训练",
    "key.chart.reset": "全部步数",
    "key.chart.reset.tip": "重新显示整个训练过程并跟随",
    "key.chart.log": "对数刻度",
    "key.chart.log.tip": "当所有值都大于零时，按对数绘制",
    "key.chart.smooth": "平滑",
    "key.chart.smooth.tip": "无、轻度、强",
    "insight.stuck": "loss 在 {steps} 步里一直停在 {loss}：策略没有学到东西。",
    "insight.stuck.advice": (
        "0.693 是对两个回答毫无偏好时的 loss。请提高 optimizer.learning_rate（全量训练 5e-7 到 5e-6，LoRA 5e-6 到 "
        "5e-5），并用 `dpo-tui data` 检查 chosen 与 rejected 是否确有差别。"
    ),
    "insight.too_easy": "在第 {step} 步（前十分之一）所有偏好对都已判断正确，loss 为 {loss}。",
    "insight.too_easy.advice": (
        "要么 chosen 与 rejected 靠长度、格式等表面特征就能区分，要么学习率过高，使策略过快偏离参考模型。请查看几个"
        "偏好对，降低 optimizer.learning_rate，或提高 objective.beta。"
    ),
    "insight.unlearning": (
        "自第 {step} 步起 chosen 的 logps 下降了 {nats} nat，而 margin 在增长：模型也在遗忘好的回答。"
    ),
    "insight.unlearning.advice": (
        "小幅下降很常见，因为 DPO 只看两者之差；若持续下降，回答质量会变差。请提高 objective.beta，降低 "
        "optimizer.learning_rate，或在 objective.loss 中加入 sft 项。"
    ),
    "insight.spikes": "最近的步中有 {count} 次梯度尖峰，最大为平常范数的 {times} 倍（第 {step} 步）。",
    "insight.spikes.advice": (
        "每次都会被裁剪，但训练并不稳定。请降低 optimizer.learning_rate，提高 train.pairs_per_step，或检查是否有损坏的"
        "偏好对。"
    ),
    "insight.falling_margin": "自第 {step} 步起 margin 从 {before} 降到 {now}。",
    "insight.falling_margin.advice": (
        "策略正在丢失已学到的东西。请降低 optimizer.learning_rate，或使用更早的检查点：`best` 会选评估 loss 最低"
        "的那个。"
    ),
    "insight.overfitting": "评估 loss 从 {best}（第 {step} 步）升到 {now}，而训练 loss 仍在下降：过拟合。",
    "insight.overfitting.advice": (
        "策略在死记训练数据。请导出最佳检查点；下次减少训练轮数，使用更多数据，或降低 optimizer.learning_rate。"
    ),
    "insight.slower": "训练速度降到了之前的 1/{times}。",
    "insight.slower.advice": (
        "可能有其他程序在占用 GPU、CPU 或磁盘，或 GPU 过热降频。仅仅是偏好对变长不会让每秒 token 数下降这么多。"
    ),
    "insight.growing_memory": "内存持续增长：在后一半的步中从 {before} GiB 增至 {now} GiB。",
    "insight.growing_memory.advice": (
        "若继续增长，训练会因内存不足而终止。有检查点，可以恢复训练，损失不大。若是个别很长的偏好对所致，请降低 "
        "train.tokens_per_pack 或 data.max_length。"
    ),
}
