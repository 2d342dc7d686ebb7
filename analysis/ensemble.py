"""The released cohort: participants of every picked epoch, together as many as the trial has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from analysis.epochs import ScoredEpoch, first_line
from analysis.errors import AnalysisError
from cohorts import Participants, Schema
from privacy.mechanisms.randomness import fresh_generator
from trainables.candidate import Generator
from trainables.generators import load_generator, numbered_ids


def random_stream(seed: int | None) -> torch.Generator:
    """A stream of random numbers, from the operating system unless a public cohort's study gave a seed."""
    return fresh_generator() if seed is None else torch.Generator().manual_seed(seed)


def read_generator(epoch: ScoredEpoch, constrained: bool = True) -> tuple[Generator, Schema]:
    """The generator of an epoch, and the schema of the cohort it imitates; see ``load_generator``.

    Raises:
        AnalysisError: its file is unreadable.
    """
    try:
        with epoch.checkpoint.as_directory() as directory:  # a download where the storage is remote
            return load_generator(Path(directory), constrained)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise AnalysisError(
            f"The generator of trial {epoch.trial_id}, epoch {epoch.epoch}, cannot be read from "
            f"{epoch.checkpoint.path}: {first_line(error)}. The file is damaged; remove that directory to let the "
            "next best epoch take its place, or run the study again."
        ) from error


def generate(epoch: ScoredEpoch, participants: int, schema: Schema, randomness: torch.Generator) -> Participants:
    """Participants of a single epoch.

    Args:
        epoch: the epoch.
        participants: how many.
        schema: what the study's cohort is now said to be.
        randomness: stream to draw from.

    Raises:
        AnalysisError: the generator is unreadable, or was trained for another schema than `schema`.
    """
    generator, trained_for = read_generator(epoch)
    if trained_for.of_the_trial != schema.of_the_trial:
        raise AnalysisError(
            f"The schema of cohort {schema.name} is not the one that the study was run with: the generator of "
            f"trial {epoch.trial_id}, epoch {epoch.epoch}, was trained for another one. Restore the schema as it was, "
            "or run a new study under the new schema."
        )
    return generator.generate(participants, randomness)


def generate_alike(
    epochs: Iterable[ScoredEpoch], participants: int, schema: Schema, randomness: torch.Generator
) -> dict[tuple[str, int], Participants]:
    """A whole release from every epoch, by its key, all drawn from the same random numbers.

    Arguments are those of `generate`.
    """
    seed = int(torch.randint(2**63 - 1, (), generator=randomness))
    return {
        key: generate(epoch, participants, schema, torch.Generator().manual_seed(seed))
        for key, epoch in {each.key: each for each in epochs}.items()
    }


def ensemble(whole: Sequence[Participants], schema: Schema, randomness: torch.Generator) -> Participants:
    """An equal share of every whole release, shuffled together.

    Each gives other rows. What generators do to whole releases, such as drawing them without the error of drawing, is
    so done to the ensemble, as far as they agree.

    Args:
        whole: of every pick, as `generate_alike` draws them; one that is there twice gives two shares.
        schema: what the study's cohort is now said to be.
        randomness: stream to draw from.

    Returns:
        Synthetic cohort with ids S000001 and so on; an id does not tell which epoch it came from.
    """
    together = Participants.in_equal_shares(whole)
    order = torch.randperm(len(together), generator=randomness).numpy()  # (n,)
    return Participants(schema, numbered_ids(len(together)), together.labels[order], together.values[order])


def share_mended(epoch: ScoredEpoch, schema: Schema, randomness: torch.Generator) -> float:
    """Share of the participants an epoch draws who break a constraint, and are changed until they do not.

    Args:
        epoch: the epoch.
        schema: what the study's cohort is now said to be.
        randomness: to draw from.
    """
    if not schema.constraints:
        return 0.0
    generator, _ = read_generator(epoch, constrained=False)
    drawn = generator.generate(schema.nominal_size, randomness).values
    kept = schema.constrained().kept(drawn)
    # Who keeps all constraints may still be moved to the nearest value that is recorded.
    rounding = 0.51 * np.array([each.step for each in schema.all_measures])[:, None]
    same = (np.abs(kept - drawn) <= rounding) | (np.isnan(kept) & np.isnan(drawn))
    return float((~same.all(axis=(1, 2))).mean())
