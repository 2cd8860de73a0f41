"""配置项的一行说明（field）和使用建议（guide）；英文取自 schema 和模板 full。"""

TEXTS: dict[str, str] = {
    "field.run": "运行放在哪里，以及靠什么复现。",
    "field.run.name": "运行的名称，也是其目录名；不设置时用配置文件的名称。",
    "guide.run.name": "运行会得到一个同名目录。不写这个键时，用配置文件的名称。",
    "field.run.dir": "存放所有运行的目录。",
    "guide.run.dir": "所有运行的目录都建在这里；相对路径从启动 dpo-tui 时所在的目录算起。",
    "field.run.seed": "数据顺序、评估集划分和 dropout 的随机种子。",
    "guide.run.seed": (
        "它决定偏好对的顺序、哪些偏好对留作评估，以及 dropout。种子和其余配置都相同，结果就能复现。"
    ),
    "field.model": "要训练的模型：它同时也是参考模型。",
    "field.model.source": "模型来自哪里：Hugging Face Hub、魔搭（ModelScope）、本地文件夹或 GGUF 文件，或者内置模型。",
    "guide.model.source": (
        "“hub”：Hugging Face Hub 上的仓库。“modelscope”：魔搭（modelscope.cn）上的仓库，先运行 pip install "
        '"dpo-tui[modelscope]"；从那里只下载权重、配置和词表，从不下载代码。“local”：本地文件夹或 .gguf 文件。'
        "“builtin”：随 dpo-tui 提供的模型。HF_HUB_OFFLINE=1 也会停用魔搭，除非设了 MODELSCOPE_OFFLINE=0。"
    ),
    "field.model.id": "仓库 id、文件夹、.gguf 文件，或内置模型的名称。",
    "guide.model.id": (
        "要训练的模型。它的一份冻结副本就是参考模型：DPO 只按偏好对的要求让模型离开参考模型。最好从已经会"
        "以对话形式回答的模型开始。"
    ),
    "field.model.revision": "Hub 仓库的分支、标签或提交。",
    "guide.model.revision": "可以是分支或标签，最好是提交：这样即使仓库以后有改动，运行也能复现。",
    "field.model.dtype": (
        "模型计算和导出时的数据类型；被训练的权重始终是 fp32。auto 即 bfloat16，处理器没有相应指令时以 float32 计算。"
    ),
    "guide.model.dtype": (
        '模型以此类型计算，并以此类型导出："auto"、"bfloat16" 或 "float32"。训练中的权重始终是 fp32：DPO 的更新'
        "非常小，bfloat16 权重会丢掉其中大部分。auto 即 bfloat16；处理器没有相应指令时以 float32 计算，快很多倍，导"
        "出仍为 bfloat16。"
    ),
    "field.model.trust_remote_code": "运行模型自带的 Python 代码。只在信任作者时打开。",
    "guide.model.trust_remote_code": (
        '有些仓库自带 Python 代码，它会以你的权限运行。因此需要 source = "hub"，并在 revision 中写上你读'
        "过代码的那个提交的 40 位十六进制数。"
    ),
    "field.model.lora": "只训练适配器，模型本身冻结；不设置则训练全部权重。",
    "guide.model.lora": (
        "用适配器代替全部权重，显存需求小得多。去掉 [model.lora] 及其各键前的“#”，并把学习率提高到约 1e-5"
        "。另见模板 lora。"
    ),
    "field.model.lora.rank": "每个适配器的秩，也就是它的容量。",
    "guide.model.lora.rank": (
        "8 到 64 够用于大多数偏好数据；秩越大，可训练的权重和所需显存越多。改动它时，让 alpha 保持为它的"
        "约两倍。"
    ),
    "field.model.lora.alpha": "适配器的缩放：输出乘以 alpha / rank。",
    "guide.model.lora.alpha": "通常取秩的一到两倍。加大它的效果与提高学习率相近。",
    "field.model.lora.dropout": "适配器输入上的 dropout；大于 0 时不再共享 prompt 的计算。",
    "guide.model.lora.dropout": "大于 0 时，prompt 要为两个回答各计算一遍，因为 dropout 使两者不同。",
    "field.model.lora.targets": "要加适配器的模块名称，或除输出头以外的全部线性层。",
    "guide.model.lora.targets": (
        '"all-linear" 适配除输出头以外的全部线性层。也可以写模块名称的列表，例如 ["q_proj", "v_proj"]：显'
        "存更省，容量也更小。"
    ),
    "field.model.lora.quantization": (
        "把冻结模型的线性层以 4 比特存放（QLoRA）：内存是 bfloat16 的四分之一；不设置则保持原样。"
    ),
    "guide.model.lora.quantization": (
        '"nf4" 即 QLoRA：参考模型也以 4 比特计算，因此训练的是相对于量化模型的差别。需要一个额外的软件包：'
        'pip install "dpo-tui[qlora]"。不能与 zero3 一起使用。'
    ),
    "field.data": "偏好对，以及如何把它们变成 token。",
    "field.data.max_length": "一条 prompt 加一个回答最多多少 token。",
    "guide.data.max_length": (
        "prompt 连同两个回答之一的 token 上限。显存需求随它增长；tokens_per_pack 至少要有它的两倍。"
    ),
    "field.data.max_prompt_length": "prompt 最多多少 token；更长的保留末尾。",
    "guide.data.max_prompt_length": "prompt 的 token 上限。更长的 prompt 去掉开头：回答所针对的是它的末尾。",
    "field.data.too_long": "偏好对超出长度时怎么办：截断（计数）或丢弃（计数）。",
    "guide.data.too_long": '"truncate" 截断过长的回答，"drop" 丢弃整个偏好对。两者都会计数并写进报告。',
    "field.data.eval_fraction": "留作评估的偏好对比例；prompt 相同的偏好对不会被拆开。",
    "guide.data.eval_fraction": "这一部分偏好对从不参与训练。看它的 loss 就能分清模型是在学习还是在死记。",
    "field.data.chat_template": "Jinja 对话模板文件，用于没有模板或要换模板的模型。",
    "guide.data.chat_template": "一个 Jinja 对话模板文件，用于自身不带模板的模型。",
    "field.data.sources": "偏好对从哪里读取；多个来源会合并。",
    "guide.data.sources": "每个读取偏好对的地方写一张表；重复这张表就能合并多个来源。",
    "field.data.sources.source": "偏好对来自哪里：Hugging Face Hub、魔搭（ModelScope）、文件，或内置数据。",
    "guide.data.sources.source": (
        "“hub”：Hub 上的数据集。“modelscope”：魔搭上的数据集，读取其中的 Parquet、JSON 和 CSV 文件。“local”：JSONL、"
        "JSON、CSV 或 Parquet 文件，或由它们组成的文件夹。“builtin”：内置数据。"
    ),
    "field.data.sources.path": "仓库 id、文件、文件夹，或内置数据集的名称。",
    "guide.data.sources.path": (
        "数据所在之处：随 source 而定，是 Hub 或魔搭上的 owner/name、本机的文件或文件夹，或内置数据集的名称。"
    ),
    "field.data.sources.subset": "Hub 数据集的子集（configuration），用于有多个子集的数据集。",
    "guide.data.sources.subset": "Hub 上有些数据集分成多个子集：说明要哪一个。",
    "field.data.sources.split": "读取 Hub 数据集的哪个划分。",
    "guide.data.sources.split": (
        '多数偏好数据集用 "train"。"train[:5000]" 只读前 5000 行，"train+test" 合并两个划分。'
    ),
    "field.data.sources.revision": "Hub 数据集的分支、标签或提交。",
    "guide.data.sources.revision": "可以是分支或标签，最好是提交：这样即使数据集以后有改动，运行也能复现。",
    "field.data.sources.streaming": "通过网络读取 Hub 数据集，除 token 外什么也不保留。",
    "guide.data.sources.streaming": "true 时边读边用，不保留数据集的副本：用于磁盘放不下的数据集。",
    "field.data.sources.format": "每一行的格式；auto 为自动识别。",
    "guide.data.sources.format": '"auto" 查看前若干行来判断，`dpo-tui data` 会显示它识别出的格式。',
    "field.data.sources.columns": "手动指定列：格式中的名称 = 数据中的列名。其余列一概不读。",
    "guide.data.sources.columns": (
        "列名不同时使用：左边是格式所用的名称，右边是数据中的列名。这时只读取写出的这些列。"
    ),
    "field.data.sources.exclude": "要排除的行：数据中的列名 = 值的列表，该列为其中之一的行被排除。",
    "guide.data.sources.exclude": (
        "按某一列的值排除行，例如一个混合数据集中的某个来源。在做其他任何事之前排除：被排除的行即使格式不对也"
        "不要紧。它们会被计数，也计入 limit；没有任何一行具有的值会有警告，因为多半是写错了。"
    ),
    "field.data.sources.limit": "从第一行起最多读取这么多行。",
    "guide.data.sources.limit": "只从头读取这么多行：用于快速试跑。",
    "field.data.sources.weight": "一轮中每个偏好对被访问的次数：0.5 为其中一半，2 为每个两次。",
    "guide.data.sources.weight": (
        "有多个来源时，一轮中多久访问一次这个来源的偏好对。0.5 取其中一半，下一轮取另一半；2 则每个取两次"
        "。指标也会按来源分别报告。"
    ),
    "field.data.sources.min_margin": "丢弃 chosen 的分数没有比 rejected 高出这么多的行。",
    "guide.data.sources.min_margin": "数据带有分数时：去掉 chosen 几乎不比 rejected 好的偏好对。",
    "field.objective": "要最小化的目标。",
    "field.objective.loss": (
        "偏好损失：sigmoid 即 DPO；ipo 和 hinge 到一定间隔为止，robust 校正标反的标签，sppo_hard、nca_pair 和 "
        "kto_pair 分别评判每个回答。"
    ),
    "guide.objective.loss": (
        '"sigmoid" 是 DPO 论文中的损失，配合 label_smoothing 即 conservative DPO。"ipo" 在一对回答拉开足够距离后便'
        '不再推动，"hinge" 也是。"robust" 扣除 label_smoothing 所占的标反的标签，因此要设它。"sppo_hard" '
        '把 chosen 的奖励拉向 0.5，把 rejected 的拉向 -0.5。"nca_pair" 还会防止 chosen 的概率下降。"kto_pair" 以整步'
        "所有偏好对中另一侧的平均值来衡量每个回答，因此每一步多一次前向计算。"
    ),
    "field.objective.beta": "拉回参考模型的强度：越高越贴近它。",
    "guide.objective.beta": (
        "模型被约束在参考模型附近的强度。较低的值（0.01）允许走得很远；较高的值（0.5）几乎不让它离开。"
    ),
    "field.objective.label_smoothing": "假定标反的偏好对所占比例；只用于 sigmoid 和 robust。",
    "guide.objective.label_smoothing": '你估计有多大比例的偏好对标反了；只用于 "sigmoid" 和 "robust"。',
    "field.optimizer": "在 fp32 权重上的 AdamW。",
    "field.optimizer.learning_rate": "峰值学习率：全量训练约 5e-7，LoRA 约 1e-5。",
    "guide.optimizer.learning_rate": (
        "学习率的峰值。DPO 需要的学习率远小于文本微调：如果 loss 几步之内就降到 0，或者回答变成胡言乱语，"
        "就是太高了。"
    ),
    "field.optimizer.schedule": "预热之后学习率的走势；除 constant 外都在结束时降到 0。",
    "guide.optimizer.schedule": '预热之后的走势："cosine" 和 "linear" 最后降到 0，"constant" 保持不变。',
    "field.optimizer.warmup_ratio": "学习率从 0 升到峰值所用步数的比例。",
    "guide.optimizer.warmup_ratio": "在这一比例的步数里，学习率从 0 升到峰值。",
    "field.optimizer.weight_decay": "AdamW 的权重衰减；不作用于归一化层和偏置。",
    "guide.optimizer.weight_decay": "DPO 通常不用：训练步数少，已有参考模型把权重拉住。",
    "field.optimizer.max_grad_norm": "梯度会缩放到这个 L2 范数以内；0 表示从不缩放。",
    "guide.optimizer.max_grad_norm": "更大的梯度会按比例缩小到这个范数。0 表示原样不动。",
    "field.train": "训练多久、每步多少，以及途中记录什么。",
    "field.train.epochs": "遍历偏好对的轮数。",
    "guide.train.epochs": "每个偏好对被看几次。DPO 很快就会死记：从 1 开始为好，超过 3 很少有帮助。",
    "field.train.max_steps": "优化器步数，优先于轮数；需要时会循环使用偏好对。",
    "guide.train.max_steps": "走完这么多步就停，不论轮数。",
    "field.train.pairs_per_step": "所有设备合计每个优化器步的偏好对数，即批大小。",
    "guide.train.pairs_per_step": (
        "批大小：优化器一步用多少偏好对。默认是 16。设备数变化时它不变，结果也就不变。"
    ),
    "field.train.tokens_per_pack": "一次前向最多多少 token；auto 为内存放得下的数量。不改变结果。",
    "guide.train.tokens_per_pack": (
        '一次计算多少 token。"auto" 取内存放得下的数量，也是默认值。数字越低越省内存：结果不变，只是更慢。'
        "数字必须装得下最长的偏好对，因此至少是 max_length 的两倍。"
    ),
    "field.train.share_prompt": "模型允许时，prompt 只为两个回答计算一次。",
    "guide.train.share_prompt": (
        "prompt 为两个回答只计算一次，前提是模型允许。prompt 越长省得越多；结果不变。"
    ),
    "field.train.gradient_checkpointing": "反向时重新计算激活值：更省显存，约慢三分之一。",
    "guide.train.gradient_checkpointing": "把模型的一部分计算两次来节省显存，大约慢三分之一。",
    "field.train.compile": "编译模型的各层：auto 只在训练足够长、能赚回编译时间时才编译。",
    "guide.train.compile": (
        "把模型的各层编译成更快的代码，结果只差舍入。首次编译要几十秒，之后从缓存读取；没有编译器时照常训练，"
        "只是更慢。"
    ),
    "field.train.log_every": "两次记录指标之间的步数。",
    "guide.train.log_every": "两行指标之间的步数。",
    "field.train.eval_every": "两次评估之间的步数；不设置则在每次保存时评估。",
    "guide.train.eval_every": "两次评估之间的步数。不写这个键时，每次保存检查点之前评估。",
    "field.train.save_every": "两个检查点之间的步数；结束时总会保存一个。",
    "guide.train.save_every": (
        "两个检查点之间的步数；结束时总会有一个。被终止的运行可以用 --resume 从最后一个检查点继续。"
    ),
    "field.train.keep": "保留的检查点数；最好的和最新的永不删除。",
    "guide.train.keep": "保留多少个检查点。最新的和评估 loss 最低的永远不会被删除。",
    "field.launch": "由什么启动训练进程。",
    "field.launch.launcher": "这台机器，或由 [launch.slurm] 描述的 Slurm 集群作业。",
    "guide.launch.launcher": ('"local" 在这台机器上训练；"slurm" 写出作业脚本并提交给集群。'),
    "field.launch.devices": "这台机器上的训练进程数，每个设备一个；用于 launcher = local。",
    "guide.launch.devices": (
        "进程数，每个设备一个。pairs_per_step 是所有设备合计：无论 1 个还是 8 个设备，每一步都相同。"
    ),
    "field.launch.strategy": (
        "各设备切分什么：不切分（ddp）、优化器（zero1）、再加梯度（zero2）、再加权重（zero3）；auto 取第一个放得下的。"
    ),
    "guide.launch.strategy": (
        '各设备切分什么："single" 用于一个设备，"ddp" 不切分，"zero1" 切分优化器，"zero2" 再切分梯度，"zero3" 再'
        '切分权重。"auto" 取内存放得下的第一个，并说明原因。'
    ),
    "field.launch.offload": "ZeRO 策略把什么放在主机内存里：较慢，用于别无他法才放得下的模型。",
    "guide.launch.offload": 'zero1、zero2、zero3 放在主机内存里的部分："none"、"optimizer"，或配合 zero3 的 "all"。',
    "field.launch.sequence_parallel": "共同计算每个偏好对的设备数，用于一个设备放不下的长偏好对；须整除设备数。",
    "guide.launch.sequence_parallel": (
        "每个偏好对的 token 由这么多设备分担（DeepSpeed-Ulysses），用于很长的偏好对。结果不变。"
    ),
    "field.launch.deepspeed": "给 DeepSpeed 更多键的 JSON 文件；配置自己写明的必须与之一致。",
    "guide.launch.deepspeed": "给 DeepSpeed 更多键的 JSON 文件。配置自己写明的必须与之一致。",
    "field.launch.slurm.partition": "分区；不写则用集群的默认分区。",
    "guide.launch.slurm.partition": "提交到哪个分区。`sinfo` 列出所有分区。",
    "field.launch.slurm.account": "机时记在哪个账户上。",
    "guide.launch.slurm.account": "机时记在哪个账户上。很多集群要求填写。",
    "field.launch.slurm.qos": "服务质量。",
    "guide.launch.slurm.qos": "服务质量：集群用它区分优先级和限额。",
    "field.launch.slurm.time": "时限：分钟、时:分:秒 或 天-时；不写则用分区的。",
    "guide.launch.slurm.time": "作业最多运行多久。到时之前，训练会保存并重新排队，所以短时限也能训练完。",
    "field.launch.slurm.nodes": "机器数。",
    "guide.launch.slurm.nodes": "机器数。训练进程总数是 nodes 乘以 gpus_per_node。",
    "field.launch.slurm.gpus_per_node": "每台机器的 GPU 数，每个 GPU 一个训练进程；0 表示在 CPU 上用一个进程。",
    "guide.launch.slurm.gpus_per_node": "每台机器的 GPU 数，每个 GPU 一个训练进程；0 表示每台机器用 CPU 跑一个进程。",
    "field.launch.slurm.gpu_type": "GPU 型号，用集群自己的叫法。",
    "guide.launch.slurm.gpu_type": 'GPU 型号，用集群自己的叫法，例如 "a100"。',
    "field.launch.slurm.cpus_per_task": "每个训练进程的 CPU 核数。",
    "guide.launch.slurm.cpus_per_task": "每个训练进程的 CPU 核数。",
    "field.launch.slurm.mem": "每个节点的内存，例如 64G；0 表示全部，不写则用分区的默认值。",
    "guide.launch.slurm.mem": '每个节点的内存。"0" 表示全部。',
    "field.launch.slurm.constraint": "节点必须有的特性，例如 a100&nvlink。",
    "guide.launch.slurm.constraint": "节点必须有的特性，用 & 或 | 连接。",
    "field.launch.slurm.exclude": "不使用的节点，例如 node[3-5],node9。",
    "guide.launch.slurm.exclude": "不使用的节点，例如已知有故障的。",
    "field.launch.slurm.modules": "要加载的环境模块，按此顺序。",
    "guide.launch.slurm.modules": "要加载的环境模块，按此顺序。",
    "field.launch.slurm.setup": "作业中训练开始之前读取的 shell 文件：代理、限制、路径。",
    "guide.launch.slurm.setup": (
        "作业中训练开始之前读取的 shell 文件，是你自己写的：代理、限制、路径。配置里的文本从不作为命令执行。"
    ),
    "field.launch.slurm.cache": "所有节点都能看到的目录，用于模型、数据集和参考值；不写则用主目录。",
    "guide.launch.slurm.cache": "所有节点都能看到的目录，用于模型、数据集和参考值。",
    "field.launch.slurm.container": "训练所在的镜像：文件，或运行时能拉取的名字。",
    "guide.launch.slurm.container": "训练进程在这个镜像里运行；监管进程在镜像外。",
    "field.launch.slurm.container_runtime": "用什么打开镜像：节点上的程序，或 srun 自身（pyxis）。",
    "guide.launch.slurm.container_runtime": '用什么打开镜像："apptainer"、"singularity"，或 srun 的插件 "pyxis"。',
    "field.launch.slurm.container_python": "镜像自己的 Python，装有 dpo-tui。",
    "guide.launch.slurm.container_python": "镜像自己的 Python，装有 dpo-tui。",
    "field.launch.slurm.container_mounts": "除运行、输入和缓存之外，镜像能看到的目录。",
    "guide.launch.slurm.container_mounts": "除运行、输入和缓存的目录之外，镜像还能看到的目录，路径不变。",
    "field.launch.slurm.requeue": "时限到来之前保存、重新排队，并继续到全部训练完。",
    "guide.launch.slurm.requeue": "时限到来之前保存、重新排队，并继续到全部训练完。最终权重与不中断时逐位相同。",
    "field.launch.slurm.grace": "时限之前多少秒开始这样做。",
    "guide.launch.slurm.grace": "时限之前多少秒开始保存；要够走完一步并写完一个检查点。",
    "field.launch.slurm.array": "参数扫描：配置的键及其取值，每种组合一个运行。",
    "guide.launch.slurm.array": "参数扫描：配置的键及其取值，每种组合一个运行，作为一个作业数组提交。",
    "field.launch.slurm.parallel": "扫描中同时运行的最大数目。",
    "guide.launch.slurm.parallel": "扫描中同时运行的最大数目。",
    "field.gates": "运行要达到什么才算完成：否则以退出码 1 失败，也不导出。",
    "field.gates.min_accuracy": "在留出的偏好对中，chosen 奖励更高者至少要占的比例。",
    "guide.gates.min_accuracy": (
        "用于 CI：模型必须达到的水平。0.5 等于随机猜测。没有达到门槛的运行以退出码 1 失败，并且不导出。"
    ),
    "field.gates.min_margin": "留出的偏好对上，chosen 与 rejected 的平均奖励间隔的下限。",
    "guide.gates.min_margin": (
        "留出的偏好对上 chosen 与 rejected 奖励的平均距离，训练开始时为 0。没有达到时运行失败，并且不导出。"
    ),
    "field.gates.max_loss": "留出的偏好对上 loss 的上限。",
    "guide.gates.max_loss": (
        '留出的偏好对上的 loss；用 "sigmoid" 时从 0.693 开始。超过上限时运行失败，并且不导出。'
    ),
    "field.gates.max_dropped": "允许丢弃的行所占的最大比例，exclude 排除的不算；在加载模型之前检查。",
    "guide.gates.max_dropped": "最多可以丢弃多大比例的行，在加载模型之前检查：这样坏数据不会白白占用机器。",
    "field.export": "运行结束时写出的 Hugging Face 模型。",
    "field.export.enabled": "训练结束时导出；`dpo-tui export` 随时可以导出。",
    "guide.export.enabled": "训练结束时写出一个 Hugging Face 模型。`dpo-tui export RUN` 随时可以做这件事。",
    "field.export.to": "导出的文件夹；不设置则是运行目录下的 `export`。",
    "guide.export.to": "导出到哪个文件夹。不写这个键时，是运行目录下的 `export`。",
    "field.export.checkpoint": "用哪个检查点：最新的，或评估 loss 最好的。",
    "guide.export.checkpoint": '"latest" 为最新的；"best" 为评估 loss 最低的检查点。',
    "field.export.dtype": "导出权重的数据类型；不设置则与模型的 dtype 相同。",
    "guide.export.dtype": "不写这个键时，用 [model] 的 dtype。",
    "field.export.layout": "只对不靠自带代码读入的模型（InternLM2）：用它自己的文件和权重名，或用 Llama 的。",
    "guide.export.layout": "original 让提供原模型服务的工具照常使用结果；native 任何 transformers 都能直接读取。",
    "field.export.adapter": "只导出 LoRA 适配器，不合并进基础模型。",
    "guide.export.adapter": "只用于 [model.lora]：true 只写出适配器，false 把它合并进模型。",
    "field.export.verify": "在新进程中加载导出的模型，并与训练所得的 logits 比较。",
    "guide.export.verify": "在一个新进程里再次加载导出的模型，把它的计算结果与训练所得逐位比较。",
    "field.export.push": "要上传到的 Hub 仓库 id；不设置则不上传。",
    "guide.export.push": "上传到 Hub 上的这个仓库。先用 `hf auth login` 登录；绝不要把 token 写在这里。",
    "field.export.private": "上传的仓库设为私有。",
    "guide.export.private": "上传的仓库是否私有。",
}
