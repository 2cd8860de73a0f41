"""集群作业的错误与结束原因。"""

TEXTS: dict[str, str] = {
    "code.slurm.no_job": (
        "launch.launcher 为 'slurm'，而这里不是 Slurm 作业：请用 `dpo-tui --headless CONFIG` 启动，它会提交一个"
    ),
    "code.slurm.no_sbatch": (
        "这里没有 sbatch，而 launch.launcher 为 'slurm'：请在集群的登录节点上运行，或加载提供它的模块"
    ),
    "code.slurm.no_srun": "作业里的 srun 无法启动：{detail}。请检查 launch.slurm 的 modules 和 setup 是否改变了 PATH",
    "code.slurm.unreachable": "集群没有回应：{detail}。请重试，或用 `sinfo` 查看它的状态",
    "code.slurm.refused": "集群拒绝了作业：{detail}。`sinfo` 列出它的分区；请改正 [launch.slurm]",
    "code.slurm.mount": "{folder} 不能挂载进容器：“:”和“,”在那里另有含义。请改名",
    "code.slurm.never": "{why}。作业已取消",
    "code.slurm.not_cancelled": "作业 {job} 无法取消：{detail}",
    "code.slurm.pending": "作业 {job} 正在等待：{why}",
    "code.slurm.pending.never": "作业 {job} 不会开始：{why}。请 `scancel {job}` 并改正 [launch.slurm]",
    "code.slurm.unknown": "作业 {job}：从这里无法查询队列",
    "code.slurm.silent": "已有一分钟没有收到作业 {job} 的消息，队列也无法查询；继续请运行：{command}",
    "code.slurm.cancelled": "作业 {job} 已被取消；继续请运行：{command}",
    "code.slurm.ended": "作业 {job} 以 {state} 结束，没有留下消息；请看它的日志，继续请运行：{command}",
    "code.slurm.ended.TIMEOUT": "作业 {job} 到了时限，还没有存完；请增大 launch.slurm.grace，继续请运行：{command}",
    "code.slurm.ended.OUT_OF_MEMORY": "作业 {job} 超出了节点内存；请增大 launch.slurm.mem，继续请运行：{command}",
    "code.slurm.ended.NODE_FAIL": "作业 {job} 的一个节点失效；继续请运行：{command}",
    "code.slurm.ended.FORGOTTEN": (
        "Slurm 已不记得作业 {job}，它也没有留下消息：开始之前就被取消，或见 job.log；继续请运行：{command}"
    ),
    "code.slurm.requeued": "时限将到；第 {step} 步已保存，作业 {job} 重新排队",
    "code.sweep.too_many": "launch.slurm.array 有 {count} 种组合，而扫描最多 {most} 个：请减少一些",
    "code.sweep.exists": "{folder} 已经存在：用 --resume 继续它的扫描，或用 --run NAME 另取名字",
    "code.slurm.time_up": "时限将到；第 {step} 步已保存",
    "code.slurm.no_progress": "时限减去 launch.slurm.grace 已到，而没有走完新的一步：请增大 launch.slurm.time",
    "code.slurm.not_requeued": "时限将到；第 {step} 步已保存，但不能重新排队：{detail}",
}
