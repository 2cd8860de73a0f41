"""What libraries have to be told before they are imported: importing this first tells them.

Where the package `kernels` is installed, bitsandbytes 0.50 loads compiled code from the Hugging Face hub while it is
imported, on processors with AVX-512 BF16 and whether or not a model is in 4 bits: peft imports it. Nothing here uses
that code (`engine.kernels.nf4`), and no code comes from a hub unasked.

torch 2.13 decides on a place for what it compiles when `torch._dynamo` is imported: one that is gone with the machine's
next start. What compiling took a quarter of a minute for is kept.
"""

import logging
import os
import sys
from pathlib import Path

import platformdirs

COMPILED = Path(platformdirs.user_cache_dir("dpo-tui")) / "inductor"
"""Where compiled code is kept for the next run on this machine, unless the person says another place."""

sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]  # "not installed", to whoever asks
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it remarks on that, and on being imported
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(COMPILED))
