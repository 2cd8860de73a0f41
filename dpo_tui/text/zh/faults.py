"""配置里的错误。英文句子由引擎给出；这里的占位符是它随错误给出的参数。"""

TEXTS: dict[str, str] = {
    "fault.more": "……还有 {count} 个问题",
    "fault.missing": "缺少此项。{help}",
    "fault.too_short": "至少需要一项：请写一张 [[{table}]] 表",
    "fault.greater_than": "必须大于 {gt:g}，当前为 {found}",
    "fault.greater_than_equal": "必须不小于 {ge:g}，当前为 {found}",
    "fault.less_than": "必须小于 {lt:,}，当前为 {found}",
    "fault.less_than_equal": "必须不大于 {le:g}，当前为 {found}",
    "fault.finite_number": "应为有限的数值，当前为 {found}",
    "fault.string_too_short": "不能为空，当前为 {found}",
    "fault.string_too_long": "最多 {max_length} 个字符，当前为 {found}",
    "fault.string_pattern_mismatch": (
        "只能用字母、数字、“.”、“_”和“-”，最多 64 个字符，以字母或数字开头；当前为 {found}"
    ),
    "fault.expected": "应为 {expected}，当前为 {found}",
    "fault.expected.meant": "应为 {expected}，当前为 {found}。是不是想写 '{meant}'？",
    "fault.expected.quoted": "应为 {expected}，当前为 {found}。请去掉引号",
    "fault.expected.brackets": "应为 {expected}，当前为 {found}。请写成 [[{table}]]，用两层方括号",
    "fault.unknown": "未知的{word}",
    "fault.unknown.meant": "未知的{word}。是不是想写 '{meant}'？",
    "fault.unknown.table": "未知的{word}。'{meant}' 请写成 {table} 表",
    "fault.unknown.belongs": "未知的{word}。'{meant}' 属于 {homes}",
    "fault.unknown.has": "未知的{word}；{table} 中可用的有 {names}",
    "fault.credential": (
        "这看起来是一个 Hugging Face 或 ModelScope 的 token。绝不要把 token 写进文件：它会被复制到运行目录。请用 "
        "`hf auth login` 登录，或设置 HF_TOKEN 或 MODELSCOPE_API_TOKEN，并吊销这个 token"
    ),
    "fault.control": "含有控制字符 {character}；只允许可打印的文本",
    "fault.lengths.prompt": "必须小于 max_length（{max_length}），才有位置留给回答；当前为 {found}",
    "fault.lengths.pack": (
        "至少应为 {least}，即 data.max_length 的两倍，最长的偏好对才装得进一个包；当前为 {found}"
    ),
    "fault.devices.single": (
        "'single' 只用于一个设备，而这里有 {devices} 个；请去掉它，或选择 ddp、zero1、zero2、zero3 之一"
    ),
    "fault.devices.offload": "只能与 zero1、zero2 或 zero3 一起使用，而 strategy 为 '{strategy}'",
    "fault.devices.offload_all": (
        "'all' 会卸载权重，而只有 zero3 切分权重，strategy 却为 '{strategy}'；请设为 'optimizer'"
    ),
    "fault.devices.sequence": "必须整除设备数 {devices}；当前为 {found}",
    "fault.devices.pairs": "至少应为 {devices}，每个设备一个偏好对；当前为 {found}",
    "fault.job.devices": (
        "数的是这台机器的设备；Slurm 作业的是 launch.slurm.nodes 乘以 gpus_per_node。请去掉它"
    ),
    "fault.job.gpu_type": "gpus_per_node 为 0 时没有 GPU 型号可言；请写明个数，或去掉它",
    "fault.job.array_local": "只能与 launcher = 'slurm' 一起使用",
    "fault.job.grace": "必须小于 launch.slurm.time 的 {limit} 秒，否则作业一开始就会停；当前为 {found}",
    "fault.job.no_values": "没有取值：请写成列表，例如 [0.05, 0.1]",
    "fault.job.unknown_key": "{found} 不是参数扫描可以改变的键：请写 'objective.beta' 这样的键",
    "fault.objective.smoothing": "只能与 loss = 'sigmoid' 或 'robust' 一起使用，而 loss 为 '{loss}'；请去掉它或设为 0",
    "fault.objective.not_smoothed": (
        "label_smoothing = 0 时 'robust' 就是 'sigmoid'：请把 label_smoothing 设为标反的偏好对所占的比例（例如 0.1），"
        "或把 loss 设为 'sigmoid'"
    ),
    "fault.source.hub_only": "只用于 Hub 上的数据集；请去掉",
    "fault.source.hub_only.subset": "只有 Hub 上的数据集才有子集；请去掉",
    "fault.source.hub_only.split": "只有 Hub 上的数据集才有划分；请去掉",
    "fault.source.hub_only.streaming": "只有 Hugging Face Hub 上的数据集才能流式读取；请去掉",
    "fault.source.streamed_part": (
        "划分的一部分不能流式读取，当前为 {found}；请改用 limit，或设 streaming = false"
    ),
    "fault.source.no_value": "没有写任何值，不会排除任何行；请写明要排除的行的值，或去掉它",
    "fault.remote_code.source": "只能与 source = 'hub' 一起使用，而 source 为 '{source}'；请去掉",
    "fault.remote_code.commit": "需要写明你读过其代码的那个提交：把 revision 设为它的 40 位十六进制数",
    "fault.export.no_lora": "没有 [model.lora] 表，就没有适配器可以导出",
    "fault.export.adapter_layout": (
        "'{layout}' 是完整模型的布局，而 export.adapter = true 只导出适配器；两者请去掉一个"
    ),
    "fault.quantization.zero3": (
        "'zero3' 不能在设备之间切分 4 比特的权重：请设为 'zero2'（它切分所有训练的东西），或去掉 quantization"
    ),
    "fault.quantization.offload": (
        "'all' 会卸载权重，而 4 比特的权重不能卸载；请设为 'optimizer'，或去掉 quantization"
    ),
    "fault.lora.no_target": "没有写任何模块；要适配全部线性层，请去掉它",
    "fault.evaluation.every": "data.eval_fraction = 0 时没有可评估的数据；请去掉它",
    "fault.evaluation.best": "最好的检查点是评估 loss 最低的那个，而 data.eval_fraction 为 0",
    "fault.evaluation.gate": "它要看留出的偏好对，而 data.eval_fraction 为 0；两者请去掉一个",
    "fault.upload.disabled": "export.enabled 为 false 时不会上传任何东西；两者请去掉一个",
    "fault.upload.repo_id": "应为 'you/name' 这样的仓库 id，当前为 {found}",
    "fault.origin.repo_id": (
        "应为 'owner/name' 这样的仓库 id，当前为 {found}。若是文件或文件夹，请设 source = 'local'"
    ),
    "fault.origin.builtin": "应为 {expected}，当前为 {found}",
    "fault.origin.builtin.meant": "应为 {expected}，当前为 {found}。是不是想写 '{meant}'？",
    "fault.origin.revision": "只有 Hub 才有版本，而 source 为 '{source}'；请去掉",
    "fault.set.syntax": "应写成 KEY=VALUE，例如 --set train.max_steps=100",
    "fault.set.not_utf8": "这个值不是 UTF-8 文本",
    "fault.set.value": "{place} 是一个值，不是表",
    "fault.set.index": "{place} 是含 {count} 项的列表；序号从 0 开始",
    "fault.file.missing": "没有这个文件",
    "fault.file.missing.template": "没有这个文件；`{command}` 会把模板 {name} 写到 {name}.toml",
    "fault.file.unreadable": "无法读取：{detail}",
    "fault.file.too_large": "超过 1 MiB，不会是配置文件",
    "fault.file.byte_order_mark": "文件以字节顺序标记（BOM）开头；请存为不带 BOM 的 UTF-8",
    "fault.file.not_utf8": "不是 UTF-8：字节 {byte}；请把文件存为 UTF-8",
    "fault.toml.long_value": "有一个不带引号的值超过 128 个字符；文本要加引号",
    "fault.toml.too_deep": "嵌套超过 16 层",
    "fault.toml.unreadable": "无法作为 TOML 读取：{detail}",
    "fault.toml.invalid": "不是合法的 TOML：{detail}（列：{column}）",
    "fault.toml.invalid.value": "不是合法的 TOML：这里应当有一个值；文本要加引号（列：{column}）",
    "fault.toml.invalid.twice": "不是合法的 TOML：这个键已经有值了（列：{column}）",
    "fault.toml.invalid.table_twice": "不是合法的 TOML：文件里已经有这张表了（列：{column}）",
    "fault.toml.invalid.string": "不是合法的 TOML：引号里的文本没有在本行结束（列：{column}）",
    "fault.toml.invalid.backslash": (
        "不是合法的 TOML：双引号里的反斜杠是转义符；请用单引号，或写两个反斜杠（列：{column}）"
    ),
    "fault.toml.invalid.equals": "不是合法的 TOML：键后面应当是“=”（列：{column}）",
    "fault.toml.invalid.more": "不是合法的 TOML：这一行后面不应再有内容（列：{column}）",
    "fault.toml.invalid.list": "不是合法的 TOML：列表没有结束，应当有“]”或“,”（列：{column}）",
    "fault.toml.invalid.inline_table": "不是合法的 TOML：表没有结束，应当有“}}”或“,”（列：{column}）",
    "fault.toml.invalid.statement": "不是合法的 TOML：这里应当是键或 [table]（列：{column}）",
    "code.word.column.end of the file": "文件末尾",
    "code.word.word.key": "键",
    "code.word.word.table": "表",
    "code.word.table.the file": "文件顶层",
    "code.word.homes.the file": "文件顶层",
    "code.word.found.a table": "一张表",
    "code.word.found.a list": "一个列表",
    "code.word.found.nothing": "空",
    "code.word.expected.text in quotes": "带引号的文本",
    "code.word.expected.true or false": "true 或 false",
    "code.word.expected.a whole number": "整数",
    "code.word.expected.a number": "数值",
    "code.word.expected.a table": "一张表",
    "code.word.expected.a list of tables": "由表组成的列表",
    "code.word.expected.a list of texts": "文本列表",
    "code.word.expected.a table of texts, like { prompt = 'question' }": (
        "文本表，例如 { prompt = 'question' }"
    ),
    "code.word.expected.a table of lists of texts, numbers, true and false, like { source = ['web', 'forum'] }": (
        "由列表组成的表，列表中是文本、数值、true 或 false，例如 { source = ['web', 'forum'] }"
    ),
}
