"""The DP AC-GAN as a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from cohorts import Encoding, Schema
from privacy.accounting.dpsgd import affordable_epochs
from privacy.mechanisms.dpsgd import DPSGD
from privacy.planning.allocation import Allocation
from trainables.candidate import Setting, Workplace, hyperparameters_of
from trainables.gan.engine import Engine, PaidTraining, PublicFigures, grid
from trainables.gan.generation import GANGenerator
from trainables.gan.hyperparameters import GANSettings, Hyperparameters
from trainables.gan.networks import build_networks
from trainables.gan.packed_engine import PackedEngine
from trainables.segment import Segment

NOISE, RATE = "noise_multiplier", "sampling_rate"


class GAN:
    """An AC-GAN whose discriminator is trained on participants by DP-SGD.

    Args:
        hyperparameters: its configuration.
        setting: of the study.
    """

    name: ClassVar[str] = "gan"
    hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters
    decided_by_budget: ClassVar[frozenset[str]] = frozenset()
    one_of: ClassVar[frozenset[str]] = frozenset({NOISE, RATE})

    def __init__(self, hyperparameters: Hyperparameters, setting: Setting) -> None:
        self._settings, self._schema, self._device = hyperparameters.settings, setting.schema, setting.device
        public = PublicFigures.of(setting.schema, setting.train_share)
        self.engine = new_engine(setting.engine, self._settings, public, setting.device)

    @classmethod
    def of(cls, config: Mapping[str, Any], setting: Setting) -> GAN:
        """One with fresh weights, drawn from PyTorch's global stream."""
        return cls(Hyperparameters(**hyperparameters_of(config, cls.hyperparameters)), setting)

    @classmethod
    def priced(cls, config: Mapping[str, Any], allocation: Allocation) -> dict[str, Any]:
        """With the largest sampling rate that its noise can afford, or else the least noise that its rate can.

        A configuration that has both was priced before: it keeps its rate, and has no less noise than it had.
        """
        if NOISE in config and RATE not in config:
            return {**config, RATE: allocation.sampling_rate_at(config[NOISE])}
        rate = Hyperparameters(**hyperparameters_of(config, cls.hyperparameters)).sampling_rate
        return {**config, NOISE: max(allocation.noise_multiplier(rate), config.get(NOISE, 0.0))}

    @classmethod
    def mechanism(cls, config: Mapping[str, Any], setting: Setting, epochs: int, pretraining: bool = False) -> DPSGD:
        """DP-SGD of so many epochs."""
        hyperparameters = Hyperparameters(**hyperparameters_of(config, cls.hyperparameters))
        return hyperparameters.pretraining(epochs) if pretraining else hyperparameters.training(epochs)

    @classmethod
    def longest(cls, config: Mapping[str, Any], epochs: int, epsilon: float, delta: float) -> int:
        """As many as there are steps for."""
        hyperparameters = Hyperparameters(**hyperparameters_of(config, cls.hyperparameters))
        return affordable_epochs(
            hyperparameters.sampling_rate,
            hyperparameters.noise_multiplier,
            hyperparameters.steps_per_epoch,
            epochs,
            epsilon,
            delta,
        )

    @classmethod
    def restored(cls, content: Mapping[str, Any], schema: Schema) -> GANGenerator:
        """The generator with the weights that were kept."""
        settings = GANSettings(**content["settings"])
        module, _ = build_networks(settings, Encoding(schema).width, len(schema.label.classes), grid(schema))
        module.load_state_dict(content["weights"])
        return GANGenerator(module, settings, schema)

    def train(self, segment: Segment[DPSGD], workplace: Workplace) -> str:
        """Here, or together with other trials."""
        if workplace.shared is not None:
            assert isinstance(self.engine, PackedEngine)
            self.engine.state, receipt = workplace.shared.train(segment, self._settings, self.engine.state)
            self._tell(workplace)
            return receipt
        watched = workplace.losses is not None
        paid = PaidTraining.of(segment.pay(workplace.access), segment.seeds, self._device, watched)
        if segment.seeds is not None:
            torch.manual_seed(segment.seeds["dropout"])  # Opacus's modules take PyTorch's global stream
        self.engine.train(paid)
        self._tell(workplace)
        return paid.receipt

    def _tell(self, workplace: Workplace) -> None:
        if workplace.losses is not None:
            workplace.losses(self.engine.losses.means)

    def generator(self) -> GANGenerator:
        """The running average of the generator in training."""
        return GANGenerator(self.engine.generator(), self._settings, self._schema)

    def state_dict(self) -> dict[str, Any]:
        """Both networks with their optimizers."""
        return self.engine.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self.engine.load_state_dict(state)


def new_engine(name: str, settings: GANSettings, public: PublicFigures, device: torch.device) -> Engine:
    """An engine with fresh weights, drawn from PyTorch's global stream."""
    if name == "packed":
        return PackedEngine(settings, public, device)
    from trainables.gan.opacus_engine import OpacusEngine  # a second's import that packed trials do without

    return OpacusEngine(settings, public, device)
