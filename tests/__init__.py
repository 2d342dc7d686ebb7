"""Tests. Each process has one thread for arithmetic: two on a core wait for each other, busily and for long."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # here, since PyTorch reads it when it is imported
