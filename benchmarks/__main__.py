"""What privacy costs in time: a trial's steps and its scoring, measured side by side in one run.

``make bench`` prints the table and writes it to docs/performance.md. Ratios carry over to other machines, seconds do
not.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from datetime import date

import torch
from rich.console import Console

from benchmarks.page import write_section
from benchmarks.workloads import paid
from cohorts import load_participants, split_key, split_participants
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData
from trainables.gan.generation import GANGenerator
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.opacus_engine import OpacusEngine
from trainables.scoring import steering
from trainables.scoring.judging import Fitted

BATCH = 64
ROUNDS = 7
NETWORKS = {
    "compact": {"network": "compact", "width": 128, "depth": 2, "latent_size": 32},
    "paper": {"network": "paper", "latent_size": 100},
}


def main() -> None:
    torch.set_num_threads(1)
    cohort, _ = load_participants("sprint-simulated")
    splits = split_participants(cohort, split_key(cohort.schema))
    public = PublicFigures.of(cohort.schema, len(splits.train) / cohort.schema.nominal_size)
    data = TrainingData.of(splits.train, torch.device("cpu"))

    rows = []
    for name, network in NETWORKS.items():
        for steps in (1, 5):
            rows.append(step_row(name, network, steps, public, data))
    private = engine(NETWORKS["compact"], 5, public)
    synthetic = GANGenerator(private.generator(), private._settings, cohort.schema).generate(
        len(splits.train), torch.Generator().manual_seed(0)
    )
    for classifier in steering().values():
        new = classifier.steering
        seconds = median_s(lambda new=new: Fitted(new(0), synthetic).ranking(splits.validation), 3)
        rows.append(f"| scoring one epoch, {classifier.title} | | {seconds * 1000:.0f} ms | |")
    report("\n".join(rows))


def configuration(network: dict, steps: int, public: PublicFigures) -> Hyperparameters:
    rate = BATCH / public.participants
    return Hyperparameters(**network, noise_multiplier=1.0, sampling_rate=rate, discriminator_steps=steps)


def engine(network: dict, steps: int, public: PublicFigures) -> OpacusEngine:
    return OpacusEngine(configuration(network, steps, public).settings, public, torch.device("cpu"))


def step_row(name: str, network: dict, steps: int, public: PublicFigures, data: TrainingData) -> str:
    """One generator step and its discriminator steps, with per-participant gradients and in a plain loop."""
    streams, config = RandomStreams.numbered(0), configuration(network, steps, public)
    private = engine(network, steps, public)
    plain = PlainTraining(engine(network, steps, public), data)
    with_privacy, without = [], []
    for _ in range(ROUNDS):  # taken in turn, so that a slow moment of the machine hits both
        with_privacy.append(median_s(lambda: private.train(paid(config, data, steps, streams)), 1))
        without.append(median_s(lambda: plain.train(steps, streams), 1))
    ratio = statistics.median(a / b for a, b in zip(with_privacy, without, strict=True))
    what = f"{name} network, {steps} discriminator step{'s' * (steps > 1)} and a generator step, batch {BATCH}"
    return (
        f"| {what} | {statistics.median(without) * 1000:.1f} ms | {statistics.median(with_privacy) * 1000:.1f} ms "
        f"| {ratio:.1f}x |"
    )


class PlainTraining:
    """The same steps without per-participant gradients: what the arithmetic costs without privacy."""

    def __init__(self, of: OpacusEngine, data: TrainingData) -> None:
        from torch.optim import Adam

        from trainables.gan.opacus_engine import ac_gan_losses

        self._engine, self._data, self._losses = of, data, ac_gan_losses
        self._discriminator = of._discriminator._module
        of._discriminator.disable_hooks()
        self._optimizer = Adam(self._discriminator.parameters(), lr=1e-3)

    def train(self, steps: int, streams: RandomStreams) -> None:
        for _ in range(steps):
            batch = torch.randint(len(self._data.features), (BATCH,), generator=streams.inputs)
            generated, generated_arms = self._engine._generate(BATCH, streams)
            rows = torch.cat([self._data.features[batch], generated])
            arms = torch.cat([self._data.arms[batch], generated_arms])
            targets = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])
            self._optimizer.zero_grad()
            self._losses(self._discriminator(rows), arms, targets).mean().backward()
            self._optimizer.step()
        self._engine._generator_step(2 * BATCH, streams)
        self._engine._discriminator.disable_hooks()


def median_s(work: Callable[[], object], rounds: int) -> float:
    """Median wall-clock seconds of one call."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def report(rows: str) -> None:
    text = (
        "## What privacy costs\n\n"
        f"Measured by `make bench` on {date.today():%d %B %Y}: {platform.machine()}, one thread, PyTorch "
        f"{torch.__version__}, simulated SPRINT.\nMedians of {ROUNDS} rounds taken in turn; the ratio is the median "
        "of the rounds' ratios.\n\n"
        "| work | not private | private (Opacus) | ratio |\n|---|---|---|---|\n" + rows + "\n"
    )
    write_section("privacy", text)
    Console().print(text, highlight=False)


if __name__ == "__main__":
    main()
