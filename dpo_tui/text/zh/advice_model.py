"""针对模型与 Hub 的错误的建议。"""

TEXTS: dict[str, str] = {
    "advice.lora.bad_target": '"all-linear" 适用于所有模型，也是通常的选择。',
    "advice.model.no_quantizer": "它很大，而且只有 QLoRA 需要它。不量化时，冻结的模型保持原样。",
    "advice.model.nothing_quantized": "LoRA 可以照常训练它；train.gradient_checkpointing 可以节省内存。",
    "advice.model.little_quantized": "照样可以训练，只是比每个权重 4 比特所需的内存更多。",
    "advice.model.builtin_missing": "内置模型是单独的软件包，不需要的人不必下载。",
    "advice.model.no_tokenizer": "模型的文件不完整。请从它的来源模型复制 tokenizer 文件。",
    "advice.model.broken_file": "下载被中断，或磁盘出了故障。重新下载时，完好的部分会保留。",
    "advice.model.unknown_weights": "少了它们，模型计算的就是另一回事。请确认 config.json 属于它。",
    "advice.model.missing_weights": "否则一部分权重会是随机数。请重新下载模型，或确认 config.json 属于它。",
    "advice.model.missing_package": "请把消息中提到的软件包装进同一个环境。",
    "advice.model.bad_model": "文件都在，却不能作为这个模型读取。请重新下载，或试用较新的 transformers。",
    "advice.model.bad_tokenizer": (
        "文件都在，却不能作为 tokenizer 读取。请重新下载，或试用较新的 transformers。"
    ),
    "advice.model.not_causal": (
        "DPO 比较两个回答的概率，因此需要从左到右生成文本的模型，例如 Qwen、Llama 或 Mistral。"
    ),
    "advice.model.unknown_type": "这个模型可能比这里安装的 transformers 更新。",
    "advice.model.no_safetensors": "请选用带 .safetensors 文件的版本。",
    "advice.model.not_found": "相对路径从启动 dpo-tui 时所在的目录算起。",
    "advice.model.is_adapter": "请先合并，例如用 peft 的 `model.merge_and_unload()`。",
    "advice.model.bad_config": "这个文件夹不是完整的模型。请重新下载。",
    "advice.model.no_config": "请给出含有 config.json 和权重的文件夹，或一个 .gguf 文件。",
    "advice.model.quantized": (
        '量化权重没有梯度。请训练完整的模型；内存不足时用 LoRA 和 quantization = "nf4"，由训练程序来量化。'
    ),
    "advice.model.remote_code": "仓库里的代码会以你的权限运行。还需要在 model.revision 中固定提交。",
    "advice.model.code_elsewhere": "信任只针对一个仓库的一个提交；而这里的代码随时可能改变。",
    "advice.model.many_gguf": "请把 model.id 设为其中一个 .gguf 文件。",
    "advice.model.gguf_rope": "它的 safetensors 仓库包含完整的模型。",
    "advice.model.gguf_split_unknown": "token id 出错，模型学到的就是噪声。",
    "advice.model.gguf_unreadable": "请把文件大小与页面上的对比。",
    "advice.model.float32": "两种类型训练的是同一个模型；float32 更精确，激活值占用的内存是两倍。",
    "advice.model.no_sizes": "它照样可以训练，只是无法事先估计内存。",
    "advice.model.no_checkpointing": "要节省内存，可以改为调低 train.tokens_per_pack。",
    "advice.model.vocabulary": "tokenizer 属于另一个模型。请用与权重一起提供的那个。",
    "advice.model.positions": "超出位置范围，模型的计算就没有意义。",
    "advice.hub.offline": "没有网络时，只能用先前下载过的东西。内置模型和数据不需要网络。",
    "advice.hub.gated": "请在浏览器中打开页面，接受条款，再在这里登录。",
    "advice.hub.not_found": "请检查拼写，注意大小写。私有仓库需要登录。",
    "advice.hub.no_revision": "去掉版本设置，就用最新的。",
    "advice.hub.no_file": "仓库正在被改动，或已损坏。",
    "advice.hub.auth": "token 在 huggingface.co 的 Settings → Access Tokens 中创建。",
    "advice.hub.rate_limit": "请等几分钟。登录后限额更高。",
    "advice.hub.down": "这里没有问题。请稍后再试；已下载完的文件会保留。",
    "advice.hub.refused": "Hub 拒绝了请求。它的回答里有原因。",
    "advice.hub.timeout": "网络缓慢或被阻断。若在防火墙之后，可把 HF_ENDPOINT 设为镜像站。",
    "advice.hub.broken": "请重试：已下载完的文件会保留。",
    "advice.hub.unreachable": (
        "请检查网络。若无法访问 huggingface.co，可把 HF_ENDPOINT 设为镜像站，例如 https://hf-mirror.com。"
    ),
    "advice.hub.no_hub": "回答的是代理或网络登录页面，而不是 Hub；或者 HF_ENDPOINT 设错了。",
    "advice.hub.no_xet": "镜像站往往没有 Xet 存储。",
    "advice.hub.cache_unwritable": "下载内容存放在 HF_HOME 下；`hf cache` 会显示哪些可以删除。",
    "advice.hub.public": "公开的仓库始终公开，不论上传什么。",
    "advice.hub.no_token": "上传需要有写权限的 token。",
}
