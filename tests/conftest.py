"""Fixtures shared by all tests."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny: a second thread only waits
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from hypothesis import settings

# The same examples every time: a test fails for what was changed, not for the day it is run on.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
