"""ModelScope（魔搭）的错误：英文句子由引擎给出，这里是中文句子。"""

_LOGIN = "请把 MODELSCOPE_API_TOKEN 设为在 https://www.modelscope.cn/my/myaccesstoken 创建的 token"

TEXTS: dict[str, str] = {
    "code.modelscope.offline": (
        "无法{action} {repo}：网络已关闭（设置了 {setting}），而 {path} 中的缓存里没有或不完整。请取消该设置，或在"
        "有网络的机器上运行 `{command}`"
    ),
    "code.modelscope.not_installed": "无法{action} {repo}：没有安装 ModelScope 的软件包。请运行：{command}",
    "code.modelscope.bad_id": "“{repo}”不是仓库 id：应为 owner/name，与 modelscope.cn 上相同",
    "code.modelscope.checksum": (
        "无法下载 {repo}：收到的 {file} 与 ModelScope 列出的大小或 sha256 不符，已丢弃。请重试；若一直如此，请查看 "
        "{page}"
    ),
    "code.modelscope.no_hub": (
        "无法{action} {repo}：{endpoint} 有回答，但不像是 ModelScope。请检查 MODELSCOPE_ENDPOINT，以及中间是否有代"
        "理或登录页面"
    ),
    "code.modelscope.no_revision": (
        "无法{action} {repo}：没有“{revision}”这个版本：分支和标签见 {page}/files"
    ),
    "code.modelscope.unlisted": (
        "无法下载 {repo}：ModelScope 列出 {file} 时没有给出大小或 sha256，而无法核对的文件不会被使用。请查看 "
        '{page}，或手动下载后设 source = "local"'
    ),
    "code.modelscope.no_file": "无法{action} {repo}：它列出的 {file} 并不存在。请查看 {page}，然后重试",
    "code.modelscope.auth": f"无法{{action}} {{repo}}：ModelScope 不接受当前登录（{{status}}）。{_LOGIN}",
    "code.modelscope.gated": (
        f"无法{{action}} {{repo}}：作者需要逐个批准访问，或它是私有的（{{status}}）：请在 {{page}} 申请。然后{_LOGIN}"
    ),
    "code.modelscope.not_found": (
        f"无法{{action}} {{repo}}：没有这个仓库，或它是私有的：请检查 id；若是私有的，{_LOGIN}"
    ),
    "code.modelscope.rate_limit": "无法{action} {repo}：请求过多（{status}）。请等几分钟",
    "code.modelscope.down": "无法{action} {repo}：ModelScope 出现故障（{status}）。请稍后再试",
    "code.modelscope.refused": "无法{action} {repo}：ModelScope 的回答是 {status}：{detail}",
    "code.modelscope.unreachable": (
        "无法{action} {repo}：无法连接 {endpoint}。请检查网络和 MODELSCOPE_ENDPOINT，然后重试；已下载的部分会保留"
    ),
    "code.modelscope.timeout": (
        "无法{action} {repo}：{endpoint} 没有及时回答。请检查网络和 MODELSCOPE_ENDPOINT，然后重试；已下载的部分会保"
        "留"
    ),
    "code.modelscope.broken": (
        "无法{action} {repo}：与 {endpoint} 的连接中断。请检查网络和 MODELSCOPE_ENDPOINT，然后重试；已下载的部分会保"
        "留"
    ),
    "code.modelscope.cache_unwritable": (
        "无法把 {repo} 存放到 {path}：{detail}。请腾出空间，或把 MODELSCOPE_CACHE 设到其他文件夹"
    ),
}
