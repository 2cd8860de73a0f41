"""集群作业：该怎么办。"""

TEXTS: dict[str, str] = {
    "advice.slurm.mount": "容器以原名挂载运行、输入和缓存的目录。",
    "advice.sweep.too_many": "扫描对每种组合各做一个运行；每个列表少写几个值，组合就少。",
    "advice.sweep.exists": "它的各个运行就在旁边，名字后面带编号。",
    "advice.slurm.no_job": "Slurm 运行的监管进程在为它提交的作业里工作。",
    "advice.slurm.no_srun": (
        "srun 在作业的节点上启动训练进程。在它之前会加载 modules、运行 setup；"
        "job.log 和 train.log 里有它们的输出。"
    ),
    "advice.slurm.no_sbatch": "sbatch 用来提交作业，在集群的登录节点上。`dpo-tui doctor` 显示这里有什么。",
    "advice.slurm.unreachable": "集群的控制器停机或繁忙。什么都没有提交；请重试。",
    "advice.slurm.refused": "原话来自 Slurm。`dpo-tui --headless CONFIG --dry-run` 显示脚本并试提交。",
    "advice.slurm.never": "Slurm 会收下这样的作业并让它永远等下去，所以已取消。",
    "advice.slurm.not_cancelled": "请自己用 `scancel` 取消。",
    "advice.slurm.pending": "只需等待。`squeue --start` 可能会给出开始时间。",
    "advice.slurm.unknown": "squeue 和 sacct 不在这里或没有回应。运行一开始就会显示它自己的状态。",
    "advice.slurm.silent": "作业可能失去了节点。继续之前请在集群上用 `squeue` 查看。",
    "advice.slurm.cancelled": "最后一个检查点之后的工作已丢失。继续会提交新作业并从那里接着训练。",
    "advice.slurm.ended": "运行目录里的 train.log 和 job.log 有最后的输出。继续会从最后一个检查点开始。",
    "advice.slurm.requeued": "无需操作：得到节点后从这个检查点继续，最终权重相同。",
    "advice.slurm.time_up": "launch.slurm.requeue 为 false。继续会提交另一个作业。",
    "advice.slurm.no_progress": "加载和一步所需时间超过了时限减去提前量。请增大 launch.slurm.time。",
    "advice.slurm.not_requeued": "继续会提交另一个作业，从检查点接着训练。",
}
