"""Fixtures shared by all tests."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny: a second thread only waits
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
