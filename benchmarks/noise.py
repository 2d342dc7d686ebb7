"""What safe noise costs: packed steps with it against the same steps with PyTorch's normal numbers, in turn in one run.

``python -m benchmarks.noise`` prints the table, writes it to docs/performance.md and the raw figures to
benchmarks/results/noise.json. Ratios carry over to other machines, seconds do not.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.engine import packed
from benchmarks.page import write_section
from privacy.mechanisms.standard_normal import StandardNormals
from trainables.gan.packed import steps

RESULTS = Path(__file__).parent / "results" / "noise.json"
ROUNDS = 15
# Network, trials in the pack, steps of a round, threads.
WORKLOADS = (
    ("compact", 4, 48, 1),
    ("compact", 16, 16, 1),
    ("compact", 16, 16, 2),
    ("paper", 4, 2, 1),
    ("paper", 4, 2, 2),
)


class Nothing:
    """In the place of numbers that are not drawn."""

    def draw(self, count: int) -> None:
        """Nothing."""


def pytorch_noise(total: Tensor, noise_sd: float, normals: np.ndarray | None) -> None:
    """What version 0.1 added: single precision, the Mersenne Twister, no rounding."""
    total.add_(torch.empty_like(total).normal_(0.0, noise_sd))


def main() -> None:
    """Measure, print, write."""
    rows = [measured(*workload) for workload in WORKLOADS]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    text = (
        "## Safe noise\n\n"
        f"Measured by `python -m benchmarks.noise` on {date.today():%d %B %Y}: {platform.machine()}, PyTorch "
        f"{torch.__version__}, simulated SPRINT. Packed steps with noise from a\ncryptographic generator, rounded to a "
        f"grid with the sum, against the same steps with PyTorch's normal numbers, in turn in\none run; medians of "
        f"{ROUNDS} rounds and of their ratios.\n\n"
        "| network | trials | threads | PyTorch's noise | safe noise | ratio |\n|---|---|---|---|---|---|\n"
        + "".join(
            f"| {row['network']} | {row['trials']} | {row['threads']} | {row['pytorch_ms']:.2f} ms | "
            f"{row['safe_ms']:.2f} ms | {row['ratio']:.2f} |\n"
            for row in rows
        )
    )
    write_section("noise", text)
    Console(width=160).print(text, highlight=False)


def measured(network: str, trials: int, count: int, threads: int) -> dict[str, Any]:
    """Milliseconds of a trial-step with both kinds of noise."""
    torch.set_num_threads(threads)
    advance, draw = packed(network, trials), StandardNormals.draw
    seconds: dict[str, list[float]] = {"pytorch_ms": [], "safe_ms": []}
    advance(count)
    for _ in range(ROUNDS):
        for side, times in seconds.items():
            noise = pytorch_noise if side == "pytorch_ms" else steps.hide_sum
            drawn = Nothing.draw if side == "pytorch_ms" else draw
            with patch.object(steps, "hide_sum", noise), patch.object(StandardNormals, "draw", drawn):
                begin = time.perf_counter()
                advance(count)
                times.append(1000 * (time.perf_counter() - begin) / count / trials)
    ratio = statistics.median(b / a for a, b in zip(seconds["pytorch_ms"], seconds["safe_ms"], strict=True))
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    return {"network": network, "trials": trials, "threads": threads, **medians, "ratio": ratio}


if __name__ == "__main__":
    main()
