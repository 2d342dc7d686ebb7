"""Generators on disk, whatever candidate they are of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cohorts import Schema

if TYPE_CHECKING:
    from trainables.candidate import Generator

GENERATOR_FILE = "generator.pt"


def save_generator(directory: Path, candidate: str, generator: Generator, schema: Schema) -> None:
    """Write a generator to ``directory``/generator.pt.

    Args:
        directory: where.
        candidate: name of the candidate it is of.
        generator: what to write.
        schema: the cohort it imitates.
    """
    content = {"candidate": candidate, "schema": schema.model_dump(mode="json"), **generator.content()}
    torch.save(content, directory / GENERATOR_FILE)


def load_generator(directory: Path, constrained: bool = True) -> tuple[Generator, Schema]:
    """Read a generator from a trial's checkpoint directory, and the schema of the cohort it imitates.

    Args:
        directory: of the checkpoint.
        constrained: whether its draws are brought in line with the schema's constraints, which it was not taught.

    Raises:
        FileNotFoundError: the directory holds no generator.pt.
    """
    from trainables.candidate import candidate_named

    content: dict[str, Any] = torch.load(directory / GENERATOR_FILE, weights_only=True)
    schema = Schema.model_validate(content["schema"])
    imitated = schema if constrained else schema.model_copy(update={"constraints": ()})
    return candidate_named(content["candidate"]).restored(content, imitated), schema


def numbered_ids(participants: int) -> np.ndarray:
    """S000001 and so on, str (n,): they belong to nobody."""
    return np.array([f"S{number:06d}" for number in range(1, participants + 1)])
