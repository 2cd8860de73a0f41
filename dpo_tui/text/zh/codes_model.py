"""模型与 Hub 的错误：英文句子由引擎给出，这里是中文句子。"""

TEXTS: dict[str, str] = {
    "code.lora.bad_target": '[model.lora] targets：{target}。可用的线性层：{available}；或 "all-linear"',
    "code.lora.bad_target.unknown": (
        '[model.lora] targets：这个模型中没有名为“{target}”的模块。可用的线性层：{available}；或 "all-linear"'
    ),
    "code.lora.bad_target.embedding": (
        "[model.lora] targets：“{target}”是嵌入层或输出头，适配器不作用于它。可用的线性层：{available}；"
        '或 "all-linear"'
    ),
    "code.lora.bad_target.other": (
        '[model.lora] targets：“{target}”不是线性层。可用的线性层：{available}；或 "all-linear"'
    ),
    "code.model.no_quantizer": ("[model.lora] quantization 需要 {package}，而它没有安装。请运行：{command}"),
    "code.model.nothing_quantized": (
        '{id} 没有可以用 4 比特存放的线性层：请从 [model.lora] 中去掉 quantization = "nf4"'
    ),
    "code.model.little_quantized": (
        "嵌入层与输出头之间的权重只有 {percent}% 是 4 比特：其余的（例如各专家的权重）不在线性层中，保持原样"
    ),
    "code.model.builtin_missing": "内置模型 {id} 没有安装。请运行：{command}",
    "code.model.builtin_unknown": "没有名为“{id}”的内置模型。可用的有：{known}",
    "code.model.float32": "这个处理器没有 bfloat16 指令：模型以 float32 计算",
    "code.model.float32.slow": (
        '这个处理器没有 bfloat16 指令：以它计算比 float32 慢很多倍。请设 model.dtype = "auto" 或 "float32"'
    ),
    "code.model.no_sizes": "{id}：它的配置没有写明计算内存所需的尺寸",
    "code.model.no_tokenizer": (
        "{id} 没有 tokenizer：config.json 旁边应当有 tokenizer.json 或 tokenizer.model"
    ),
    "code.model.gguf_rope": (
        "{path}：这个模型使用了 rope scaling，transformers 不能从 GGUF 文件读取它。请改用 Hub 上该模型的 "
        "safetensors 仓库"
    ),
    "code.model.gguf_split_unknown": (
        "{path}：transformers 不知道这个词表如何切分文本（“{split}”），token id 会出错。请改用 Hub 上该模"
        "型的 safetensors 仓库"
    ),
    "code.model.gguf_unreadable": "{path}：不是可读的 GGUF 文件（{detail}）。可能没有下载完整：请重新下载",
    "code.model.broken_file": "{id}：{file} 已损坏或不完整。请重新下载",
    "code.model.unknown_weights": (
        "{id}：检查点里有些权重是这类模型没有的，例如 {unknown}。它的 config.json 属于另一个模型"
    ),
    "code.model.missing_weights": (
        "{id}：检查点缺少模型的一部分权重，例如 {missing}。它不完整，或 config.json 属于另一个模型"
    ),
    "code.model.missing_package": "{id} 需要一个没有安装的软件包：{detail}",
    "code.model.bad_model": "无法加载模型 {id}：{detail}",
    "code.model.bad_tokenizer": "无法加载 {id} 的 tokenizer：{detail}",
    "code.model.not_causal": "{id} 的类型是“{kind}”，不是从左到右生成文本的模型：DPO 需要因果语言模型",
    "code.model.unknown_type": (
        "当前版本的 transformers 不认识 {id} 的模型类型“{kind}”。较新的版本或许可以：pip install -U "
        "transformers"
    ),
    "code.model.no_safetensors": "{id} 没有 safetensors 权重",
    "code.model.not_found": "{id}：没有这个模型文件夹或 .gguf 文件",
    "code.model.is_adapter": (
        "{id} 是 LoRA 适配器，不是完整的模型。请先把它合并进基础模型，再训练合并后的模型"
    ),
    "code.model.bad_config": '{id}：config.json 中没有 "model_type"',
    "code.model.bad_config.unreadable": "{id}：config.json 无法读取（{detail}）",
    "code.model.quantized": "{id} 是量化模型，这样的权重无法训练。请用量化之前的模型",
    "code.model.remote_code": (
        "transformers 不认识 {id} 的模型类型“{kind}”；它自带 Python 代码（{file}）。请先阅读这些代码，信"
        "任其作者再设 trust_remote_code = true"
    ),
    "code.model.many_gguf": "{id} 中有多个模型：请写明其中一个 .gguf 文件",
    "code.model.no_config": "{id} 没有 config.json：它不是 transformers 模型",
    "code.model.code_elsewhere": (
        "{id} 的代码取自另一个仓库，而且总是那里最新的提交。请用自带代码的模型，或包含代码的本地副本"
    ),
    "code.model.no_checkpointing": "{id} 不能重新计算激活值：请设 train.gradient_checkpointing = false",
    "code.model.vocabulary": "tokenizer 会写出 token {token}，而 {id} 只有 {size} 个嵌入：两者不匹配",
    "code.model.positions": (
        "有一个偏好对长 {longest} token，而 {id} 只有 {positions} 个位置：请把 data.max_length 设为 "
        "{positions} 或更小"
    ),
    "code.hub.offline": (
        "无法{action} {repo}：网络已关闭（设置了 HF_HUB_OFFLINE），而本地缓存中没有或不完整。请取消该设置"
        "，或在有网络的机器上运行 `{command}`"
    ),
    "code.hub.offline.upload": "无法{action} {repo}：网络已关闭（设置了 HF_HUB_OFFLINE）。请取消该设置",
    "code.hub.gated": (
        "无法{action} {repo}：作者需要逐个批准访问：请在 {page} 申请，然后用 `hf auth login` 登录，或设置"
        " HF_TOKEN"
    ),
    "code.hub.not_found": (
        "无法{action} {repo}：没有这个仓库，或它是私有的：请检查 id，或用 `hf auth login` 登录，或设置 "
        "HF_TOKEN"
    ),
    "code.hub.not_found.on_disk": (
        "无法{action} {repo}：没有这个仓库，或它是私有的：请检查 id，或用 `hf auth login` 登录；若指本机"
        '上的 {repo}，请设 source = "local"'
    ),
    "code.hub.bad_id": "“{repo}”不是仓库 id：应为 owner/name，与 huggingface.co 上相同",
    "code.hub.no_revision": "无法{action} {repo}：没有这个版本：分支和标签见 {page}/tree/main",
    "code.hub.no_file": "无法{action} {repo}：它列出的一个文件并不存在。请查看 {page}，然后重试",
    "code.hub.auth": (
        "无法{action} {repo}：Hub 要求有权限的登录（{status}）：请用 `hf auth login` 登录，或设置 HF_TOKEN"
    ),
    "code.hub.rate_limit": (
        "无法{action} {repo}：请求过多（{status}）。请等几分钟；登录（`hf auth login`）可以提高限额"
    ),
    "code.hub.down": (
        "无法{action} {repo}：Hub 出现故障（{status}）。请稍后再试；见 https://status.huggingface.co"
    ),
    "code.hub.refused": "无法{action} {repo}：Hub 的回答是 {status}：{detail}",
    "code.hub.timeout": (
        "无法{action} {repo}：{endpoint} 没有及时回答。请检查网络和 HF_ENDPOINT，然后重试；已下载完的文件"
        "会保留"
    ),
    "code.hub.broken": (
        "无法{action} {repo}：与 {endpoint} 的连接中断。请检查网络和 HF_ENDPOINT，然后重试；已下载完的文"
        "件会保留"
    ),
    "code.hub.broken.failed": "无法{action} {repo}：传输失败（{detail}）。请重试",
    "code.hub.broken.lacking": "无法下载数据集 {repo}：Hub 没有发来描述它的全部内容。请重试",
    "code.hub.unreachable": (
        "无法{action} {repo}：无法连接 {endpoint}。请检查网络和 HF_ENDPOINT，然后重试；已下载完的文件会保留"
    ),
    "code.hub.no_hub": (
        "无法{action} {repo}：{endpoint} 有回答，但不像是 Hugging Face Hub。请检查 HF_ENDPOINT，以及中间"
        "是否有代理或登录页面"
    ),
    "code.hub.no_xet": (
        "无法{action} {repo}：{endpoint} 没有 huggingface_hub 首选的 Xet 存储。请设 HF_HUB_DISABLE_XET=1"
    ),
    "code.hub.cache_unwritable": (
        "无法把 {repo} 存放到 {path}：{detail}。请腾出空间，或把 HF_HOME 设到其他文件夹"
    ),
    "code.hub.public": (
        "无法上传到 {repo}：它已经存在，而且是公开的。若本意如此，请加 --public（或在 [export] 中设 "
        "private = false），否则请换一个仓库"
    ),
    "code.hub.no_token": "无法上传到 {repo}：没有登录。请用 `hf auth login` 登录，或设置 HF_TOKEN",
    "code.word.action.find": "找到",
    "code.word.action.download": "下载",
    "code.word.action.upload to": "上传到",
}
