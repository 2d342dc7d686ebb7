"""Whole trials on both engines: is a packed trial as good as one that Opacus trains?

``python -m benchmarks.equivalence`` trains 20 configurations with 5 seeds each on both engines and compares the AUCs
of the participants that they generate; then once more with a packed engine whose noise is planted 20 % too large, which
must not pass. It writes the table to docs/performance.md and every AUC to benchmarks/results/equivalence.json. Some
minutes on two cores.

A pair begins with the same weights and is given the same batches, latent inputs and noise, so that the two differ by
rounding and by mistakes alone. Much noise and few epochs make the AUC depend on the noise as much as it can.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from scipy.stats import t

from benchmarks.page import write_section
from benchmarks.workloads import CPU, hyperparameters, paid, streams, workload, workloads
from trainables.gan.generation import GANGenerator
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed import batch_stream
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.packed_trial import PackedTrial
from trainables.gan.packed_engine import PackedEngine
from trainables.scoring.judging import SyntheticJudge

RESULTS = Path(__file__).parent / "results" / "equivalence.json"
CONFIGURATIONS, SEEDS, EPOCHS = 20, 5, 4
WITHIN = 0.01  # mean difference of AUC that counts as none
CONFIDENCE = 0.9
TOO_MUCH = 1.2


@dataclass(frozen=True)
class Difference:
    """Packed less Opacus, mean over all pairs.

    Args:
        mean: of the AUC.
        low, high: its interval.
        pairs: how many.
    """

    mean: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, pairs: list[tuple[float, float]]) -> Difference:
        """From (packed, Opacus) AUCs; by Student's t."""
        apart = [packed - opacus for packed, opacus in pairs]
        mean, error = statistics.mean(apart), statistics.stdev(apart) / len(apart) ** 0.5
        reach = float(t.ppf((1 + CONFIDENCE) / 2, len(apart) - 1)) * error
        return cls(mean, mean - reach, mean + reach, len(apart))

    @property
    def none(self) -> bool:
        """Whether the whole interval lies within what counts as none."""
        return self.low >= -WITHIN and self.high <= WITHIN


def main() -> None:
    """Measure, print, write."""
    rows = list(compared())
    found = {"packed": difference(rows, "packed"), "noise 20 % too large": difference(rows, "noisier")}
    RESULTS.write_text(
        json.dumps({"differences": {k: asdict(v) for k, v in found.items()}, "runs": rows}, indent=1) + "\n"
    )
    opacus = [row["opacus"] for row in rows]
    text = (
        "## Whole trials on both engines\n\n"
        f"Measured by `python -m benchmarks.equivalence`: {CONFIGURATIONS} configurations with {SEEDS} seeds each, "
        f"{EPOCHS} epochs on the simulated SPRINT, the pair\ngiven the same random numbers. AUC on validation "
        f"participants, mean of logistic regression and random forest; Opacus's lie between {min(opacus):.2f} and\n"
        f"{max(opacus):.2f}. Alike means that the {CONFIDENCE:.0%} interval lies within {WITHIN}.\n\n"
        f"| engine | mean difference to Opacus | {CONFIDENCE:.0%} interval | alike |\n|---|---|---|---|\n"
        + "".join(
            f"| {name} | {each.mean:+.4f} | {each.low:+.4f} to {each.high:+.4f} | {'yes' if each.none else 'no'} |\n"
            for name, each in found.items()
        )
    )
    write_section("equivalence", text)
    Console(width=160).print(text, highlight=False)


def difference(rows: list[dict[str, Any]], side: str) -> Difference:
    """Of one side to Opacus."""
    return Difference.of([(row[side], row["opacus"]) for row in rows])


def compared() -> Iterator[dict[str, Any]]:
    """AUCs of every configuration and seed on all sides."""
    with ProcessPoolExecutor(workloads()["threads"], mp_context=get_context("spawn")) as processes:
        for rows in processes.map(aucs, range(CONFIGURATIONS)):
            yield from rows


def configuration(number: int) -> Hyperparameters:
    """One of those that are compared, drawn at random once and for all."""
    chance = random.Random(number)
    return hyperparameters(
        "compact",
        workload().public,
        batch=chance.choice([48, 64, 96]),
        noise_multiplier=chance.uniform(3, 8),
        clip_norm=10 ** chance.uniform(-1, 0.5),
        discriminator_steps=chance.choice([2, 3, 5]),
        discriminator_learning_rate=10 ** chance.uniform(-3, -2.3),
        generator_learning_rate=10 ** chance.uniform(-3.3, -2.6),
        width=chance.choice([32, 64, 128]),
        depth=chance.choice([1, 2, 3]),
        label_smoothing=chance.choice([0.0, 0.1]),
    )


def aucs(number: int) -> list[dict[str, Any]]:
    """A configuration with every seed on all sides."""
    torch.set_num_threads(1)
    settings = configuration(number)
    fair = PackedTrial.noise_sd.fget  # type: ignore[attr-defined]
    with patch.object(batch_stream, "AHEAD", 1):  # as Opacus draws: one step at a time
        packed = trained_in_a_pack(settings)
        with patch.object(PackedTrial, "noise_sd", property(lambda trial: TOO_MUCH * fair(trial))):
            noisier = trained_in_a_pack(settings)
    rows = []
    for seed in range(SEEDS):
        engines = {"opacus": trained_by_opacus(settings, seed), "packed": packed[seed], "noisier": noisier[seed]}
        scores = {side: auc(engine, settings) for side, engine in engines.items()}
        rows.append({"configuration": number, "seed": seed, **scores})
    return rows


def trained_in_a_pack(settings: Hyperparameters) -> list[PackedEngine]:
    """A trial for each seed, all in one pack."""
    given, engines = workload(), []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        engines.append(PackedEngine(settings.settings, given.public, CPU))
    pack, steps = Pack(engines[0].shape, CPU), EPOCHS * settings.steps_per_epoch
    tickets = [
        pack.join(settings.settings, given.public, engine.state, paid(settings, given.data, steps, streams(seed)))
        for seed, engine in enumerate(engines)
    ]
    pack.advance(steps)
    for engine, ticket in zip(engines, tickets, strict=True):
        engine.state = pack.leave(ticket)
    return engines


def trained_by_opacus(settings: Hyperparameters, seed: int) -> OpacusEngine:
    """The same trial; both engines draw the noise of all parameters in one row."""
    given = workload()
    torch.manual_seed(seed)
    engine = OpacusEngine(settings.settings, given.public, CPU)
    engine.train(paid(settings, given.data, EPOCHS * settings.steps_per_epoch, streams(seed)))
    return engine


def auc(engine: OpacusEngine | PackedEngine, settings: Hyperparameters) -> float:
    """How well what it generates predicts validation participants."""
    splits = workload().splits
    made = GANGenerator(engine.generator(), settings.settings, splits.train.schema).generate(
        len(splits.train), torch.Generator().manual_seed(0)
    )
    exact = SyntheticJudge(made, dict.fromkeys(SyntheticJudge.names(), 0)).exact(splits.validation)
    return statistics.mean(exact[f"auc_{name}"] for name in SyntheticJudge.names())


if __name__ == "__main__":
    main()
