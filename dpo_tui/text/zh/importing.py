"""`dpo-tui import` 对 XTuner 配置所说的话，以及写在各个值旁边的注释。"""

TEXTS: dict[str, str] = {
    "import.header": "来自 XTuner 配置 {path}。值后面是它在那里的出处。",
    "import.story": "{path}：XTuner 的 DPO 配置，只读取、不运行",
    "import.heading.mapped": "已转换",
    "import.heading.differs": "在这里含义不同",
    "import.heading.lost": "未能转换",
    "import.heading.skipped": "没有读取",
    "import.idle": "\n这里不需要：{names}",
    "import.more": "……还有 {count} 项",
    "import.origin": "{name}，{line}",
    "import.line": "第 {line} 行",
    "import.line.of": "{file} 第 {line} 行",
    "import.why.expression": "表达式不会被计算",
    "import.why.type": "值的类型与预期不符",
    "import.why.name": "文件中没有说明 `{what}` 是什么",
    "import.why.call": "调用了 `{what}`，而这里不会调用任何函数",
    "import.why.long": "比配置所需的更长、更大或更深",
    "import.why.deep": "嵌套过深",
    "import.why.statement": "`{what}` 语句不会被执行",
    "import.why.changed": "`{what}` 可能被一条没有读取的语句改动过",
    "import.why.base": "它所基于的配置 `{what}` 不在旁边，或无法读取",
    "import.why.definition": "`{what}` 在这里定义，不会被运行",
    "import.differs.remote_code": (
        "XTuner 会运行模型仓库自带的 Python 代码；这里保持关闭，InternLM2 不需要它。其他确有需要的模型：请打开它，并把 "
        "`revision` 设为你读过的提交"
    ),
    "import.differs.float16": (
        "XTuner 用 float16 计算并放大 loss；这里被训练的权重是 fp32，计算用 bfloat16，不需要放大 loss"
    ),
    "import.differs.checkpointing": (
        "XTuner 默认重新计算激活值；这里默认不重算，速度更快，结果相同：内存不足时请设为 true"
    ),
    "import.differs.four_bits": '还需要一个软件包：pip install "dpo-tui[qlora]"',
    "import.differs.targets": (
        "这里 InternLM2 的层采用 Llama 的名称：wqkv 对应 q_proj、k_proj、v_proj，各有自己的适配器"
    ),
    "import.differs.template": (
        "XTuner 的 prompt_template 只用于试聊；那里和这里的偏好对都由模型自带的对话模板生成"
    ),
    "import.differs.ipo": ("对回答的所有 token 取平均；XTuner 会跳过 id 为 0 的 token，若一个不剩则得到 NaN"),
    "import.differs.kto_pair": (
        "KL 项是整个优化步内所有偏好对的平均；XTuner 只在每个设备的 batch_size 内取平均，噪声大得多"
    ),
    "import.differs.robust": "没有标签平滑时，XTuner 的 'robust' 与 'sigmoid' 的计算相同，这里就写成 sigmoid",
    "import.differs.smoothing": "没有采用：{loss} 没有标签平滑，XTuner 也会忽略它",
    "import.differs.decay": "这里归一化层和偏置不衰减；XTuner 连它们也衰减",
    "import.differs.unclipped": "XTuner 的文件不裁剪梯度；通常用 1.0",
    "import.differs.warmup": "占全部步数的比例，从学习率 0 开始；XTuner 写的是以轮或迭代计的终点",
    "import.differs.iterations": "以优化步计；XTuner 以迭代计，accumulative_counts = {counts} 次迭代为一步",
    "import.differs.batch": (
        "是所有设备的总数；XTuner 的 batch_size 是每个设备的，N 个设备每步用了 {pairs} x N 个偏好对：要重现那样的训"
        "练请相乘"
    ),
    "import.differs.packed_batch": (
        "是所有设备上偏好对的总数；XTuner 在这里数的是每个设备的包，每包尽量装满 max_packed_length：{pairs} 是它至少"
        "用到的数目。`dpo-tui data` 会给出每对的 token 数，由此可知一包装几对"
    ),
    "import.differs.sequence": "能共享一个序列的最少设备数；XTuner 在启动时才得知设备数。请改为你的数目",
    "import.differs.prompt": (
        "XTuner 只截去 prompt + 回答的末尾，占满 max_length 的 prompt 什么也学不到；这里过长的 prompt 保留末尾，并为"
        "回答留出 {left} 个 token"
    ),
    "import.differs.packing": (
        "偏好对总是打包，内存能装多少就装多少，prompt 只为两个回答计算一次；结果不受影响"
    ),
    "import.differs.held_out": "XTuner 用全部偏好对训练；设为 0.05 会留出一部分用于评估",
    "import.differs.folder": "会读取文件夹中的所有数据文件，包括其他后缀的（csv、parquet 等）",
    "import.lost.unread": "{why}",
    "import.lost.tokenizer": "分词器与 {model} 的不同；这里总是用模型自己的",
    "import.lost.reference": "参考模型与 {model} 不同；这里总是训练开始时的模型",
    "import.lost.dtype": "没有名为 {found} 的计算类型",
    "import.lost.adapter": "不能训练这种适配器",
    "import.lost.pattern": "这是匹配模块名的模式；请改为列出名称",
    "import.lost.quantization": "只能在 nf4 类型的 4 位量化模型上训练",
    "import.lost.quantized_whole": "只能与适配器一起使用：量化的模型不能整体训练",
    "import.lost.weights": (
        "权重来自 .pth 文件：请用 `xtuner convert pth_to_hf` 转换，再把 model.source 设为 local、model.id 设为该文件"
        "夹"
    ),
    "import.lost.optimizer": "优化器是作用于 fp32 权重的 AdamW，不是 {found}：请检查学习率",
    "import.lost.betas": "AdamW 的 betas 是 0.9 和 0.999",
    "import.lost.epsilon": "AdamW 的 epsilon 是 1e-8，不是 {found}",
    "import.lost.clipping": "梯度按 L2 范数裁剪；不设 optimizer.max_grad_norm 时为 1.0",
    "import.lost.warmup": "无法得知它占训练的比例；不设 optimizer.warmup_ratio 时为 0.1",
    "import.lost.schedule": "没有 {found}；不设 optimizer.schedule 时为 cosine",
    "import.lost.ends_early": "学习率的变化一直持续到最后一步",
    "import.lost.ends_above": "学习率最终为 0",
    "import.lost.save_epochs": "按优化步保存：请设 train.save_every",
    "import.lost.keep_all": "不设 train.keep 时保留最新的两个和最好的一个",
    "import.lost.chat": "训练中没有试聊；导出时会显示模型在训练前后对同样问题的回答",
    "import.lost.hook": "没有这个钩子",
    "import.lost.visualizer": "曲线由 `dpo-tui attach` 根据运行的 events.jsonl 绘制",
    "import.lost.resume": "不能接着 XTuner 的训练继续；`--resume` 只继续自己的运行",
    "import.lost.strategy": "launch.strategy 会按内存在 DDP 与 ZeRO 之间选择；也可以自己设定",
    "import.lost.runs": "不设 run.dir 时，运行保存在 ./runs",
    "import.lost.sources": "只采用前 {most} 处",
    "import.lost.lengths": "所有数据共用一个长度；采用第一个的",
    "import.lost.counts": "不是迭代次数；按 1 处理",
    "import.lost.order": "偏好对总是按 run.seed 打乱",
    "import.lost.reader": "只认识 load_dataset 和 load_jsonl_dataset，不认识 {found}",
    "import.lost.folder": "会按后缀读取文件夹中的所有数据文件（jsonl、json、csv、parquet、arrow）",
    "import.lost.rows": "数据行按原样读取，格式自动识别，不会运行 {found}：请用 `dpo-tui data` 查看",
    "import.lost.left_over": "没有与之对应的设置",
}
