"""One configuration of the paper's network: what was asked for, and what follows from it. Every field is public."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cohorts import Schema, SplitShares

RUN_FILE, TRIAL = "run.json", "dp_gan"

SHARES = SplitShares(train=12 / 13, validation=0.5 / 13, test=0.5 / 13)
"""6,000 of SPRINT's 6,500 train, as in the paper; its other 500 are two halves, for scores and for the report."""


class RunError(ValueError):
    """A run that cannot begin or go on: one paragraph saying what is wrong, and what to do."""


class PaperRun(BaseModel):
    """What the paper's command was asked for, as it is written when it begins.

    Args:
        name: of the run, also of its folder and, in the ledger, of its study.
        cohort: as given: a known name or the path of a schema.
        data_dir: folder of the cohort's files, where it is not the cohort's own place.
        ledger: the cohort's ledger, where it is not in the user's data directory.
        noise: as given; 0 trains without privacy.
        clip_value: C, the largest 2-norm of one participant's gradient.
        epochs: how many.
        lr: Adam's step of both networks.
        batch_size: participants that a step is expected to meet.
        engine: what does the arithmetic.
        paper_noise: what ``noise`` is a multiple of: of C, as was meant, or of C squared, as was published.
        averaging: decay of the generator's running average, which is kept in its place; 0 keeps the generator itself.
        scores: whether every epoch is scored, without noise, on participants who do not train.
        scored_by: names of the classifiers that score them; empty without scores, and of a run of an earlier version.
        delta: the delta of every epsilon.
        created: when it began.
        versions: of the packages that took part.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    cohort: str
    data_dir: Path | None = None
    ledger: Path | None = None
    noise: float = Field(ge=0, allow_inf_nan=False)
    clip_value: float = Field(ge=0, allow_inf_nan=False)
    epochs: int = Field(ge=1)
    lr: float = Field(gt=0, allow_inf_nan=False)
    batch_size: int = Field(ge=1)
    engine: Literal["packed", "opacus"] = "packed"
    paper_noise: Literal["meant", "published"] = "meant"
    averaging: float = Field(default=0.0, ge=0, lt=1)
    scores: bool = False
    scored_by: tuple[str, ...] = ()
    delta: float = Field(gt=0, lt=1)
    created: datetime
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def noise_multiplier(self) -> float:
        """Standard deviation of the noise on a sum of gradients, in units of C."""
        return self.noise * self.clip_value if self.paper_noise == "published" else self.noise

    def config(self, schema: Schema) -> dict[str, Any]:
        """The configuration as trials have it.

        Source: Beaulieu-Jones et al. 2019, supplementary code (greenelab/SPRINT_gan), dp_gan.py.
        """
        return {
            "network": "paper",
            "generator_learning_rate": self.lr,
            "discriminator_learning_rate": self.lr,
            "discriminator_steps": 1,
            "latent_size": 100,
            "adam_beta1": 0.5,
            "generator_averaging": self.averaging,
            "label_smoothing": 0,
            "clip_norm": self.clip_value or 1.0,
            "noise_multiplier": self.noise_multiplier,
            "sampling_rate": self.batch_size / training_size(schema),
        }

    @classmethod
    def read(cls, folder: Path) -> PaperRun | None:
        """What a run was asked for; None of a folder that is none.

        Raises:
            RunError: somebody edited it.
        """
        file = folder / RUN_FILE
        try:
            return cls.model_validate_json(file.read_bytes()) if file.exists() else None
        except ValidationError:
            raise RunError(
                f"{file} is not what python -m trainables.dp_gan wrote. It is not meant to be edited; restore it, or "
                "begin another run."
            ) from None


def training_size(schema: Schema) -> int:
    """Public number of participants that train."""
    return round(schema.nominal_size * SHARES.train)
