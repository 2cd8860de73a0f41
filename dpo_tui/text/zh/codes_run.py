"""运行、训练和命令行的错误、警告与结束原因：英文句子由引擎给出，这里是中文句子。"""

TEXTS: dict[str, str] = {
    "code.run.done": "全部步骤已训练完成",
    "code.run.stopped": "已按要求停止",
    "code.run.stopped.saved": "已按要求在第 {step} 步（共 {total} 步）之后停止；检查点已保存",
    "code.run.stopped.orphaned": "启动这次运行的终端或作业已经不在；运行已停止，已完成的步都有检查点",
    "code.run.stopped.terminated": "Slurm 结束了作业（scancel 或节点失效）；已完成的步都有检查点",
    "code.run.stopped_early.terminated": "Slurm 在训练开始之前结束了作业（scancel 或节点失效）",
    "code.run.stopped_early": "在训练开始之前已停止",
    "code.run.stopped_early.orphaned": "启动这次运行的终端或作业已经不在；在训练开始之前已停止",
    "code.run.killed": "已按要求强制终止；可以从最后一个检查点继续",
    "code.run.live": "{run} 正在运行：`dpo-tui attach {where}` 可以跟踪它，`dpo-tui stop {where}` 可以停止它",
    "code.run.live_delete": "{run} 正在运行：请先停止它",
    "code.run.exporting": "{run} 正在导出：请等待导出结束",
    "code.run.exists": "{run} 已经存在：用 --run NAME 另起一个运行",
    "code.run.exists.run": "{run} 已经存在：用 --resume 继续它，或用 --run NAME 另起一个运行",
    "code.run.no_config": (
        "{run} 是一个运行，不是配置文件：用 --resume 继续它，或用 `dpo-tui attach {where}` 查看它"
    ),
    "code.run.bad_name": "--run {name}：运行名称只能用字母、数字、“.”、“_”和“-”，最多 64 个字符",
    "code.run.unknown": "没有运行 {run}",
    "code.run.unknown.in": "{runs_dir} 中没有运行 {run}：`dpo-tui runs` 列出所有运行，--runs 指定其他目录",
    "code.run.unknown.meant": "{runs_dir} 中没有运行 {run}：是不是 {meant}？",
    "code.run.unknown.resume": "没有可以继续的运行 {run}：请去掉 --resume 来启动它",
    "code.run.config_changed": (
        "{run} 不能用改过的配置继续：{changes}。按原配置继续：{command}；或用 --run NAME 另起一个运行"
    ),
    "code.run.bad_folder": "运行目录 {run} 的名称里有不允许的字符。请给它改名",
    "code.run.bad_directory": "存放运行的目录 {runs_dir} 不能用于配置文件。请用 --runs 指定其他目录",
    "code.run.no_name": "无法从 {path} 得出运行名称；请用 --run NAME 指定",
    "code.run.locked": "{run}：另一个进程正在运行它",
    "code.run.bad_revisions": (
        "{path} 已损坏，或属于另一份配置：它应当记下这次运行的每个 Hub 仓库的提交。请把它放回原处，或删除"
        "它，改用今天的提交"
    ),
    "code.run.never_started": "它从未启动；继续请运行：{command}",
    "code.run.silent": "已有一分钟没有收到 {host} 的消息；如果那台机器已经不在，继续请运行：{command}",
    "code.run.orphaned": "它的监管进程已经不在；继续请运行：{command}",
    "code.runs.unreadable": "无法读取 {runs_dir}：{detail}；请用 --runs 指定其他目录",
    "code.supervisor.failed": "监管进程出错：{detail}",
    "code.rank.exited": "rank {rank} 以退出码 {exit_code} 结束：{log}",
    "code.rank.exited.exit_1": "rank {rank} 以退出码 {exit_code} 结束：训练失败",
    "code.rank.exited.exit_2": "rank {rank} 以退出码 {exit_code} 结束：配置或命令有误",
    "code.rank.exited.exit_3": "rank {rank} 以退出码 {exit_code} 结束：数据或模型不可用",
    "code.rank.exited.exit_4": "rank {rank} 以退出码 {exit_code} 结束：无法使用 Hub",
    "code.rank.exited.exit_5": "rank {rank} 以退出码 {exit_code} 结束：已按要求停止，最后一个检查点已保存",
    "code.rank.exited.exit_6": "rank {rank} 以退出码 {exit_code} 结束：无法写入，磁盘已满或没有权限",
    "code.rank.exited.exit_7": "rank {rank} 以退出码 {exit_code} 结束：出现了 NaN 或无穷大",
    "code.rank.exited.exit_8": "rank {rank} 以退出码 {exit_code} 结束：这台机器缺少配置所要求的东西",
    "code.rank.exited.exit_130": "rank {rank} 以退出码 {exit_code} 结束：被中断",
    "code.rank.killed": "rank {rank} 被信号 {signal}（{name}）终止",
    "code.rank.killed.killed": "rank {rank} 被信号 {signal}（{name}）终止，很可能是内存不足",
    "code.rank.killed.out_of_memory": (
        "rank {rank} 被内核的内存不足机制（OOM killer）终止；请调低 tokens_per_pack，或给它更多内存"
    ),
    "code.train.out_of_memory": (
        "内存（显存）不足：{detail}。请调低 train.tokens_per_pack，或设 train.gradient_checkpointing = true"
    ),
    "code.train.out_of_memory.known": (
        "内存（显存）不足：{detail}。其中最多的是{largest}，{of} GiB。请调低 train.tokens_per_pack，或设 "
        "train.gradient_checkpointing = true"
    ),
    "code.memory.unknown": (
        "{id} 没有写明它的尺寸，因此无法事先得知内存用量：每包最多 {tokens} 个 token。如果内存不足，请调低 "
        "train.tokens_per_pack"
    ),
    "code.train.crashed": "训练意外出错：{detail}。完整的 traceback 在 train.log 中",
    "code.train.non_finite": (
        "第 {step} 步的{what}为 {value}。检查点保存的是前一步的权重。请调低 optimizer.learning_rate，并用"
        " `dpo-tui data` 检查数据"
    ),
    "code.train.non_finite_start": (
        "第 {step} 步的{what}为 {value}，而此时还没有任何更新：问题出在模型或数据，不在训练，也没有检查点"
        '。请确认基础模型能正常回答，用 `dpo-tui data` 检查数据，并试试 model.dtype = "float32"'
    ),
    "code.train.reference_differs": (
        "第一步之前，策略模型与参考模型本是同一个模型，却相差 {gap:.3g} nat：这台机器两次计算同一次前向的"
        "结果不同。请试试 train.share_prompt = false 和 dtype = 'float32'"
    ),
    "code.policy.mode": "改用较慢的计算方式（{mode}）：{reason}",
    "code.compile.fallback": "不编译，照常训练：{reason}",
    "code.memory.tight": (
        "内存可能不足：预计约 {expected} GiB，共有 {room} GiB；其中最多的是{largest}，{of} GiB。没有哪一项改动"
        "能使它放得下：请换用更小的模型或更大的机器"
    ),
    "code.memory.tight.change": (
        "内存可能不足：预计约 {expected} GiB，共有 {room} GiB；其中最多的是{largest}，{of} GiB。设 {change} "
        "之后为 {then} GiB"
    ),
    "code.resume.devices": "这次运行以 {now} 个训练进程继续，而它的检查点由 {before} 个进程写成",
    "code.launch.no_ops": (
        "DeepSpeed 无法编译 CPU 上各进程通信所需的部分：{detail}。请安装 C++ 编译器（g++）和 ninja，或设 "
        'launch.strategy = "ddp"'
    ),
    "code.launch.few_gpus": "launch.devices = {asked}，而这台机器上可见的 GPU 有 {found} 个",
    "code.launch.deepspeed_key": "{path}：{key} 在这里不由 DeepSpeed 决定，而由 TOML 决定。请从文件中删去",
    "code.launch.deepspeed_conflict": (
        "{path}：{key} = {theirs}，而配置使它为 {ours}。请从文件中删去，或修改配置"
    ),
    "code.launch.bad_deepspeed": "launch.deepspeed：{path} 无法使用：{why}",
    "code.launch.world_size": "启动了 {found} 个训练进程，而 launch.devices 要求 {expected} 个",
    "code.gates.missed": "第 {step} 步没有达到门槛：{missed}。没有导出任何东西；仍要导出请运行：{command}",
    "code.gates.dropped": (
        "{rows:,} 行中丢弃了 {dropped:,} 行（{share:.1%}），超过 gates.max_dropped = {limit:g}。上面的报"
        "告写明了原因和位置；`dpo-tui data` 可以再次显示"
    ),
    "code.gates.no_eval": (
        "gates.{gate} 要看留出的偏好对，而一个也没有留出：偏好对太少，或 prompt 全都相同。请提高 "
        "data.eval_fraction、增加偏好对，或去掉这个门槛"
    ),
    "code.checkpoint.unverified": (
        "{path}：读回的内容与写入的不同（{problem}）。请检查磁盘；先前的检查点仍然保留"
    ),
    "code.checkpoint.no_space": (
        "{path}：空间不足，保存检查点还需要更多空间（可用、还需、每个：{sizes}）。请腾出空间，调低 "
        "train.keep，或把 [run] dir 放到另一块磁盘"
    ),
    "code.checkpoint.bad": "第 {step} 步的检查点不能使用：{problem}",
    "code.checkpoint.damaged": "第 {step} 步的检查点已损坏：{problem}。请用 --checkpoint 另选一个（{known}）",
    "code.checkpoint.misfit": "{path} 与模型不符：{why}。它必须来自同一个模型和同样的 [model.lora]",
    "code.resume.changed": (
        "{path} 保存时的{what}（{theirs}）与这次运行的（{ours}）不同。请恢复原状，或用 --run NAME 另起一"
        "个运行"
    ),
    "code.reference.cannot_write": (
        "无法写入参考模型缓存 {path}：{detail}。请腾出空间，或把 XDG_CACHE_HOME 设到可写的目录"
    ),
    "code.disk.cannot_write": "{path}：无法写入：{hint}",
    "code.disk.cannot_write.full": "{path}：无法写入：{hint}（还剩 {free:,} 字节）",
    "code.cwd.missing": "当前工作目录已不存在：请换到另一个目录",
    "code.cli.no_directory": "当前目录无法使用：它已被删除或移走；请 cd 到别处",
    "code.cli.two_commands": "--headless 不能与其他命令一起使用",
    "code.cli.needs_headless": "{option} 需要 --headless CONFIG",
    "code.cli.no_terminal": (
        "这里不是终端，无法显示界面。请用：dpo-tui --headless CONFIG（见 dpo-tui --help）"
    ),
    "code.cli.dry_run_json": "--dry-run 打印的是 TOML，即将要训练的配置：请去掉 --json",
    "code.settings.invalid": "设置文件 {path} 有误：{problem}",
    "code.file.exists": "{path} 已经存在，不会覆盖。请另取一个名称：{again}",
    "code.file.no_directory": "无法写入 {path}：目录不存在",
    "code.file.cannot_write": "无法写入 {path}：{detail}",
    "code.import.unreadable": "无法读取 {path}：{detail}",
    "code.import.too_large": "{path}：大于 {most} KiB，不会是配置文件",
    "code.import.not_utf8": "{path}:{line}：不是 UTF-8；请把文件保存为 UTF-8",
    "code.import.not_python": "{path}:{line}：不是 Python 文件，而 XTuner 的配置都是：{detail}",
    "code.import.unparsable": "{path}：无法作为 Python 读取：{detail}",
    "code.import.not_xtuner": "{path}：不是 XTuner 的 DPO 配置：其中没有 {like}",
    "code.import.not_dpo": "{path}：这是用 {kind} 训练，不是 DPO；只能导入 DPO 配置",
    "code.import.needed": "{path}：{key} 需要 {where}，而它无法从文件中读出；请在那里用引号写出名称或路径",
    "code.import.needed.why": (
        "{path}：{key} 需要 {where}，而它无法从文件中读出（{why}）；请在那里用引号写出名称或路径"
    ),
    "code.templates.unknown": "没有名为 '{name}' 的模板。可用的有：{names}",
    "code.draft.token": (
        "这看起来是一个 Hugging Face 或 ModelScope 的 token。绝不要把 token 写进文件：它会被复制到运行目录。请用 "
        "`hf auth login` 登录，或设置 HF_TOKEN 或 MODELSCOPE_API_TOKEN，并吊销这个 token"
    ),
    "code.draft.run_record": "{path} 是训练 {run} 的记录，不能改动：请保存到别处",
    "code.draft.in_the_way": "{path} 已经存在，而且是另一个文件，或已被他人改动",
    "code.preview.died": "预览进程意外结束",
    "code.preview.failed": "预览出错",
    "code.preview.bad_request": "预览收到了无法理解的请求",
    "code.preview.no_pair": "没有第 {index} 个偏好对：准备了 {count} 个",
    "code.word.what.loss": "loss",
    "code.word.what.gradient norm": "梯度范数",
    "code.word.what.config": "配置",
    "code.word.what.data": "数据",
    "code.word.what.model": "模型",
    "code.word.what.world size": "进程数",
    "code.word.largest.program": "程序",
    "code.word.largest.weights": "权重",
    "code.word.largest.optimizer": "优化器",
    "code.word.largest.gradients": "梯度",
    "code.word.largest.activations": "激活值",
    "code.word.largest.head": "输出头",
    "code.word.mode.single": "single：逐条计算",
    "code.word.mode.packed": "packed：打包，但不共享 prompt",
    "code.word.mode.shared": "shared：打包并共享 prompt",
    "code.word.reason.prompts are not shared: the adapters use dropout": (
        "适配器使用 dropout，因此不共享 prompt"
    ),
    "code.word.hint.no space left on the disk; free some and resume": "磁盘空间已用完；请腾出空间后继续",
    "code.word.hint.the disk quota is used up; free some space and resume": (
        "磁盘配额已用完；请腾出空间后继续"
    ),
    "code.word.hint.the file is larger than this file system or the process limit allows": (
        "文件超过了文件系统或进程的限制"
    ),
    "code.word.hint.the file system is read-only": "文件系统是只读的",
    "code.word.hint.permission denied": "没有权限",
    "code.word.hint.operation not permitted": "不允许这样操作",
    "code.word.hint.something else is in its place": "那里已有别的东西",
    "code.word.hint.no such directory": "没有这个目录",
    "code.word.hint.a part of the path is no directory": "路径中有一部分不是目录",
    "code.word.hint.the path is too long": "路径太长",
    "code.word.hint.the disk failed": "磁盘故障",
    "code.word.hint.the network file system lost the file": "网络文件系统丢失了文件",
    "code.launch.sequence_mode": ("launch.sequence_parallel 需要能运行打包的模型，而这个模型不能：请设为 1"),
    "code.launch.sequence_heads": (
        "launch.sequence_parallel 必须整除模型的 {heads} 个注意力头；当前为 {size}"
    ),
}
