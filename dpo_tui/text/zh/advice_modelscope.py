"""针对 ModelScope（魔搭）的错误的建议。"""

TEXTS: dict[str, str] = {
    "advice.modelscope.offline": (
        "HF_HUB_OFFLINE 也会停用 ModelScope。若只想保留 ModelScope，请设 MODELSCOPE_OFFLINE=0。"
    ),
    "advice.modelscope.not_installed": "没有它时，只能用缓存中已有的 ModelScope 仓库。",
    "advice.modelscope.bad_id": "id 是仓库网址的末尾，即 /models/ 或 /datasets/ 之后的部分。",
    "advice.modelscope.checksum": "可能是代理或镜像站发来了别的内容。收到的内容没有保留。",
    "advice.modelscope.no_hub": "回答的是代理或网络登录页面，或者 MODELSCOPE_ENDPOINT 设错了。",
    "advice.modelscope.no_revision": "去掉版本设置，就用最新的；那里的主分支叫 master。",
    "advice.modelscope.unlisted": "否则无法分辨文件是完整的还是只有一半。",
    "advice.modelscope.no_file": "仓库正在被改动，或已损坏。",
    "advice.modelscope.auth": "token 在 modelscope.cn 上创建。不要把它写进任何文件。",
    "advice.modelscope.gated": "请在浏览器中打开页面，申请访问，再设置 token。",
    "advice.modelscope.not_found": "请检查拼写，注意大小写：所有者的名称与 Hugging Face Hub 上不同。",
    "advice.modelscope.rate_limit": "请等几分钟。",
    "advice.modelscope.down": "这里没有问题。请稍后再试；已下载的部分会保留。",
    "advice.modelscope.refused": "ModelScope 拒绝了请求。它的回答里有原因。",
    "advice.modelscope.unreachable": "请检查网络；从这里必须能访问 modelscope.cn。",
    "advice.modelscope.timeout": "网络缓慢或被阻断。",
    "advice.modelscope.broken": "请重试：已下载的部分会保留，并从那里继续。",
    "advice.modelscope.cache_unwritable": "下载内容存放在 MODELSCOPE_CACHE 下。",
}
