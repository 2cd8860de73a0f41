"""Texts about the Hugging Face hub while it is searched."""

TEXTS: dict[str, str] = {
    "hub.search.offline": "offline (HF_HUB_OFFLINE): showing {count} on this disk",
    "hub.search.timeout": "the hub does not answer: showing {count} on this disk",
    "hub.search.unreachable": "the hub cannot be reached: showing {count} on this disk",
    "hub.search.rate_limit": "the hub has had too many requests: showing {count} on this disk",
    "hub.search.down": "the hub has a fault: showing {count} on this disk",
    "hub.search.auth": "the hub does not accept this login: showing {count} on this disk",
    "hub.search.no_hub": "HF_ENDPOINT is no hub: showing {count} on this disk",
}
