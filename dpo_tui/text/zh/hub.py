"""Texts about the Hugging Face hub while it is searched."""

TEXTS: dict[str, str] = {
    "hub.search.offline": "离线（HF_HUB_OFFLINE）：显示本机的 {count} 个",
    "hub.search.timeout": "Hub 没有响应：显示本机的 {count} 个",
    "hub.search.unreachable": "无法连接 Hub：显示本机的 {count} 个",
    "hub.search.rate_limit": "对 Hub 的请求过多：显示本机的 {count} 个",
    "hub.search.down": "Hub 出现故障：显示本机的 {count} 个",
    "hub.search.auth": "Hub 不接受当前登录：显示本机的 {count} 个",
    "hub.search.no_hub": "HF_ENDPOINT 不是 Hub：显示本机的 {count} 个",
}
