"""Importing this first keeps a library from fetching code when it is imported itself.

Where the package `kernels` is installed, bitsandbytes 0.50 loads compiled code from the Hugging Face hub while it is
imported, on processors with AVX-512 BF16 and whether or not a model is in 4 bits: peft imports it. Nothing here uses
that code (`engine.kernels.nf4`), and no code comes from a hub unasked.
"""

import logging
import sys

sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]  # "not installed", to whoever asks

logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(  # which advises to install it
    lambda record: "gemm_4bit_forward" not in record.getMessage()
)
