"""How many of the participants that are drawn constraints have to change, and that the steward is told of many."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ray.train import Checkpoint
from rich.console import Console

from analysis.ensemble import share_mended
from analysis.report import print_report
from analysis.study import StudyDirectory
from cohorts import Schema
from privacy.mechanisms.measurements import Measurements
from tests.conftest import SMALL_SCHEMA
from trainables.generators import load_generator, save_generator
from trainables.measured.copula import CopulaGenerator

CIGARETTES = [
    {"name": "smoker", "kind": "binary", "column": "smoker"},
    {"name": "cigarettes", "kind": "integer", "lower": 0, "upper": 60, "column": "cigarettes"},
]


def drawn_from(folder: Path, **more: Any) -> tuple[Any, Schema]:
    """An epoch of a generator, fitted to people of whom a third smoke, each about twelve cigarettes."""
    schema = Schema.model_validate({**SMALL_SCHEMA, "measures": CIGARETTES} | more)
    rng = np.random.default_rng(0)
    smoker = np.repeat(rng.random((400, 1)) < 0.3, 3, axis=1)
    cigarettes = np.where(smoker, rng.poisson(12, (400, 3)).clip(1, 60), 0)
    values = np.stack([smoker, cigarettes], axis=1).astype(np.float32)
    measured = Measurements.costing(schema, 1.0, rho=5.0).release(values, np.arange(400) % 2)
    save_generator(folder, "copula", CopulaGenerator(measured, schema), schema)
    epoch = SimpleNamespace(trial_id="aaa", epoch=1, checkpoint=Checkpoint.from_directory(str(folder)))
    return epoch, schema


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_draws_that_break_a_constraint_are_counted(tmp_path):
    epoch, schema = drawn_from(tmp_path, constraints=["cigarettes only if smoker = 0 else 0"])
    generator, _ = load_generator(tmp_path, constrained=False)
    smoker, cigarettes = generator.generate(schema.nominal_size, stream()).values.transpose(1, 0, 2)
    broken = ((smoker == 1) & (cigarettes > 0)).any(axis=1)  # as most smokers do in the trial it is fitted to
    assert share_mended(epoch, schema, stream()) == broken.mean() > 0.05


def test_who_is_only_moved_to_a_value_that_is_recorded_was_not_mended(tmp_path):
    """Draws have any number of decimals until constraints are looked after."""
    doses = [CIGARETTES[0], {**CIGARETTES[1], "kind": "continuous", "decimals": 1}]
    mended = share_mended(*drawn_from(tmp_path, constraints=["cigarettes >= 0"], measures=doses), stream())
    assert mended == 0


def test_who_does_not_smoke_is_drawn_without_cigarettes(tmp_path):
    """Many have 0 of them and are counted apart: spread over the bin of 0, most would have a few."""
    mended = share_mended(*drawn_from(tmp_path, constraints=["cigarettes only if smoker = 1 else 0"]), stream())
    assert mended < 0.05


def test_without_constraints_nothing_is_mended(tmp_path):
    assert share_mended(*drawn_from(tmp_path), stream()) == 0


def test_a_constraint_that_no_draw_can_break_mends_nothing(tmp_path):
    epoch, schema = drawn_from(tmp_path)
    assert share_mended(epoch, schema.model_copy(update={"constraints": ("cigarettes[week 0] >= 0",)}), stream()) == 0


@pytest.mark.parametrize(("mended", "is_told"), [(0.0, False), (0.1, False), (0.23, True)])
def test_the_steward_is_told_of_more_than_a_tenth(tmp_path, mended, is_told):
    quality = SimpleNamespace(summary=lambda: "Quality: passed.", findings=(), columns=())
    said = {"transfer": None, "written": (), "quality": quality, "statement_summary": "", "mended": mended}
    summary = SimpleNamespace(directory=StudyDirectory(tmp_path), **said)
    console = Console(file=io.StringIO(), width=400)
    print_report(summary, console)  # type: ignore[arg-type]
    assert ("23% of the participants that are drawn break a constraint" in console.file.getvalue()) == is_told
