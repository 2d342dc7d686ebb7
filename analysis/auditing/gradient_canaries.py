"""Gradient canaries: participants whose gradient is one coordinate, planted in a run of a real engine.

The attacker of DP-SGD's guarantee sees every noisy gradient and chooses what participants' gradients are. So each
canary has a coordinate of the discriminator's parameters to itself: its gradient lies along it and is far longer than
the clip norm, and nobody else's gradient has anything there. A step then shows, at that coordinate, C times whether
the canary was sampled, plus noise: the mechanism that the accounting assumes, once per canary and step. Sampling,
clipping, noise and normalisation are the engine's own.

Source: Nasr et al., "Tight Auditing of Differentially Private Machine Learning", USENIX Security 2023 (Dirac canaries).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from analysis.auditing.bounds import (
    SIGNIFICANCE,
    Finding,
    Hits,
    NoiseScale,
    gaussian_epsilon,
    gaussian_shift,
    noise_scale,
    one_run_epsilon,
    one_run_guesses,
)
from analysis.auditing.instruments import MARK, Instrument, OpacusInstrument, PackedInstrument
from analysis.auditing.made_up import THREE_ARMS, made_up_schema, made_up_values
from cohorts import Encoding
from privacy import DPSGD, epsilon
from privacy.mechanisms.dpsgd import SUM_MARGIN
from trainables.gan.engine import STREAMS, Engine, PaidTraining, PublicFigures, RandomStreams, TrainingData
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed_engine import PackedEngine

# A canary's raw gradient, in clip norms: unclipped, it cannot be missed.
RAW_NORM = 100.0
# One guess in so many canaries, half of them "in", when all steps are looked at together.
ONE_GUESS_IN = 20
SCHEMA = made_up_schema(
    "audited-training",
    4000,
    weeks=range(8),
    measures=[
        {"name": "pressure", "kind": "integer", "lower": 80, "upper": 200},
        {"name": "dose", "kind": "continuous", "lower": 0, "upper": 10, "missing": "allowed"},
        {"name": "grade", "kind": "categorical", "categories": [1, 2, 3], "missing": "allowed"},
    ],
    arms=THREE_ARMS,
    dropout=True,
)


@dataclass(frozen=True)
class CanaryPlan:
    """A run to audit. Everything is made up, by ``SCHEMA``; no participant is read.

    Args:
        hyperparameters: of the run; q, sigma and C are what is audited.
        steps: T.
        canaries: m, each in or out by a fair coin; fewer than the discriminator has parameters.
        others: ordinary participants besides.
        nominal_size: public size of the training split; not the true one, as in any study.
        delta: of the stated epsilon.
    """

    hyperparameters: Hyperparameters = field(
        default_factory=lambda: Hyperparameters.model_validate({"sampling_rate": 0.05, "noise_multiplier": 1.2})
    )
    steps: int = 100
    canaries: int = 8000
    others: int = 200
    nominal_size: int = 3000
    delta: float = 1e-5

    @property
    def stated_epsilon(self) -> float:
        """What a statement says of this run."""
        return epsilon([self.mechanism], self.delta)

    @property
    def mechanism(self) -> DPSGD:
        """What is audited."""
        return self.hyperparameters.training(1).of_steps(self.steps)


@dataclass(frozen=True)
class Observed:
    """What the attacker saw.

    Args:
        gradients: noisy gradient at each canary's coordinate, times the public normaliser, in clip norms (T, m).
        included: bool (m,), which canaries were among the participants.
    """

    gradients: np.ndarray
    included: np.ndarray


ENGINES: Mapping[str, tuple[Callable[..., Engine], Callable[..., Instrument]]] = {
    "opacus": (OpacusEngine, OpacusInstrument),
    "packed": (PackedEngine, PackedInstrument),
}


def run_canaries(
    plan: CanaryPlan,
    engine: str = "opacus",
    seed: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Observed:
    """Train one run with canaries in it.

    Args:
        plan: of the run.
        engine: a key of ``ENGINES``.
        seed: of every random number; from the operating system if None.
        tick: called after every step.
    """
    randomness = torch.Generator().manual_seed(seed if seed is not None else torch.seed() % 2**63)
    make_engine, make_instrument = ENGINES[engine]
    public = PublicFigures.of(SCHEMA, plan.nominal_size / SCHEMA.nominal_size)
    torch.manual_seed(int(torch.randint(2**62, (1,), generator=randomness)))
    trained = make_engine(plan.hyperparameters.settings, public, torch.device("cpu"))
    instrument = make_instrument(trained)
    places = instrument.places
    coordinates = places[torch.randperm(len(places), generator=randomness)[: plan.canaries]]
    if len(coordinates) < plan.canaries:
        raise ValueError(f"{plan.canaries} canaries are too many for a discriminator of {len(coordinates)} parameters")
    included = torch.rand(plan.canaries, generator=randomness) < 0.5
    scale = public.expected_batch(plan.mechanism) / plan.hyperparameters.clip_norm
    seen: list[np.ndarray] = []

    def see(gradient: Tensor) -> None:
        seen.append((gradient * scale).numpy())
        tick()

    instrument.plant(coordinates, RAW_NORM * plan.hyperparameters.clip_norm, see)
    seeds = {name: int(torch.randint(2**62, (1,), generator=randomness)) for name in STREAMS}
    data = _participants(plan, included, randomness)
    trained.train(PaidTraining(data, plan.mechanism, RandomStreams.seeded(seeds)))
    return Observed(np.stack(seen), included.numpy())


def _participants(plan: CanaryPlan, included: Tensor, randomness: torch.Generator) -> TrainingData:
    """Ordinary participants and the included canaries."""
    encoding, numbers = Encoding(SCHEMA), torch.nonzero(included).squeeze(1)
    canaries = torch.zeros(len(numbers), encoding.width)
    canaries[:, 0] = MARK + numbers
    stream = np.random.default_rng(int(torch.randint(2**62, (1,), generator=randomness)))
    others = made_up_values(SCHEMA, stream.random((plan.others, len(encoding.cells))), stream)
    features = torch.cat([torch.from_numpy(encoding.encode(others)), canaries])  # (n, F)
    arms = torch.randint(len(SCHEMA.label.classes), (len(features),), generator=randomness)
    return TrainingData(features, arms)


def thresholds(hyperparameters: Hyperparameters) -> tuple[float, ...]:
    """Where an attacker draws the line, in clip norms, fixed beforehand.

    The first is where a sampled canary stands out best for the stated noise, the second is lower, for noise that is
    smaller than stated; beyond the third there is hardly any noise, for a gradient that was not clipped.
    """
    sigma = hyperparameters.noise_multiplier
    lines = np.linspace(0, 1 + 5 * sigma, 200)
    missed = norm.sf(lines / sigma)
    stands_out = (norm.sf((lines - 1) / sigma) - missed) / np.sqrt(missed)
    return float(lines[np.argmax(stands_out)]), 0.8, 1 + 5 * sigma


def shift_of_a_step(observed: Observed, hyperparameters: Hyperparameters) -> float:
    """Least C / (sd of the noise) that explains the observations, at 95 %."""
    lines = thresholds(hyperparameters)
    inside, outside = observed.gradients[:, observed.included], observed.gradients[:, ~observed.included]
    return max(
        gaussian_shift(Hits.above(line, inside, outside), hyperparameters.sampling_rate, SIGNIFICANCE / len(lines))
        for line in lines
    )


def evidence(observed: Observed, hyperparameters: Hyperparameters) -> np.ndarray:
    """Log-likelihood ratio of "in" against "out" over all steps: (m,)."""
    q, sigma = hyperparameters.sampling_rate, hyperparameters.noise_multiplier
    ratio = (observed.gradients.astype(np.float64) - 0.5) / sigma**2  # (T, m)
    summed: np.ndarray = np.logaddexp(np.log1p(-q), np.log(q) + ratio).sum(axis=0)
    return summed


def scale_of_noise(observed: Observed, hyperparameters: Hyperparameters) -> NoiseScale:
    """The noise at coordinates of canaries that were not in, against sigma x C and the margin on top of it."""
    stated = hyperparameters.noise_multiplier * (1 + SUM_MARGIN)
    return noise_scale(observed.gradients[:, ~observed.included], stated)


def lower_bound(observed: Observed, plan: CanaryPlan) -> float:
    """Lower bound on the run's epsilon at 95 %, taking a step for some sampled Gaussian mechanism."""
    shift = shift_of_a_step(observed, plan.hyperparameters)
    return gaussian_epsilon(shift, plan.hyperparameters.sampling_rate, plan.steps, plan.delta)


def one_run_bound(observed: Observed, plan: CanaryPlan) -> float:
    """Lower bound on the run's epsilon at 95 %, whatever the mechanism: from guesses about the coins."""
    guesses = plan.canaries // ONE_GUESS_IN
    right = one_run_guesses(evidence(observed, plan.hyperparameters), observed.included, guesses)
    return one_run_epsilon(plan.canaries, guesses, right, plan.delta)


def findings(observed: Observed, plan: CanaryPlan, engine: str = "opacus") -> list[Finding]:
    """What the run shows, as lines of the audit's table."""
    run = f"{engine} engine, {plan.steps} steps, {plan.canaries} gradient canaries"
    return [
        Finding.bound(f"{run}: every step observed", plan.stated_epsilon, lower_bound(observed, plan)),
        Finding.bound(f"{run}: guesses on the whole run", plan.stated_epsilon, one_run_bound(observed, plan)),
        scale_of_noise(observed, plan.hyperparameters).finding(f"{engine} engine: scale of a step's noise"),
    ]
