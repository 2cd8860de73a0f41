"""What to do about the errors of ModelScope."""

TEXTS: dict[str, str] = {
    "advice.modelscope.offline": (
        "HF_HUB_OFFLINE switches ModelScope off as well. To leave only ModelScope on, set MODELSCOPE_OFFLINE=0."
    ),
    "advice.modelscope.not_installed": "Without it ModelScope's repos can be used once they are in the cache.",
    "advice.modelscope.bad_id": "The id is the end of the repo's address, behind /models/ or /datasets/.",
    "advice.modelscope.checksum": "A proxy or a mirror may have sent something else. Nothing of it was kept.",
    "advice.modelscope.no_hub": (
        "A proxy or a login page of the network answers instead, or MODELSCOPE_ENDPOINT is wrong."
    ),
    "advice.modelscope.no_revision": "Leave the revision out to take the newest; the branch is called master there.",
    "advice.modelscope.unlisted": "Half a file could not be told from a whole one.",
    "advice.modelscope.no_file": "The repo is being changed, or is damaged.",
    "advice.modelscope.auth": "Tokens are made on modelscope.cn. Keep them out of every file.",
    "advice.modelscope.gated": "Open the page in a browser, apply for access, then set the token.",
    "advice.modelscope.not_found": (
        "Check the spelling, capitals included: owners differ from those on the Hugging Face hub."
    ),
    "advice.modelscope.rate_limit": "Wait some minutes.",
    "advice.modelscope.down": "Nothing is wrong here. Try again later; what has arrived is kept.",
    "advice.modelscope.refused": "ModelScope said no. Its own words tell why.",
    "advice.modelscope.unreachable": "Check the network; modelscope.cn must be reachable from here.",
    "advice.modelscope.timeout": "The network is slow or blocked.",
    "advice.modelscope.broken": "Try again: what has arrived is kept, and the transfer goes on there.",
    "advice.modelscope.cache_unwritable": "Downloads go to MODELSCOPE_CACHE.",
}
