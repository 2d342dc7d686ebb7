"""Cohorts by name: where a name's schema stands and where its files lie."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from cohorts.arguments import what_is_at
from cohorts.cohort import Cohort
from cohorts.errors import CohortError
from cohorts.loader import read_participants
from cohorts.participants import Participants
from cohorts.report import LoadReport
from cohorts.schema import Schema
from cohorts.split_keys import split_key

SIMULATED = "sprint-simulated"
BUNDLED = ("sprint", SIMULATED, "actg175", "actg175-treat")
"""Names that `load_participants` knows besides the path of a schema."""


def resolve_schema(name: str) -> Schema:
    """The schema of a cohort, without reading a participant.

    Args:
        name: one of `BUNDLED`, or the path of a schema in YAML.

    Raises:
        CohortError: for an unknown name or an unusable schema.
    """
    if name == SIMULATED:
        return _bundled("sprint").model_copy(update={"name": SIMULATED, "public": True})
    if name in BUNDLED:
        return _bundled(name)
    if what_is_at(name) == "folder":
        raise CohortError(f"{name} is a folder; give the path of the trial's schema, a file that ends in .yaml.")
    if Path(name).suffix.lower() not in (".yaml", ".yml"):
        if what_is_at(name) == "file":
            raise CohortError(
                f"{name} is no schema, whose name ends in .yaml. If it is a table of the trial, begin a schema with: "
                f"python -m cohorts draft {name}"
            )
        raise CohortError(
            f"There is no cohort named {name!r}. The names are {', '.join(BUNDLED)}; for another trial "
            "give the path of its schema, which ends in .yaml (docs/cohorts.md says how to write one)."
        )
    return Schema.load(name)


def load_cohort(name: str, data_dir: Path | None = None) -> Cohort:
    """Load a cohort and seal it; arguments and errors are those of `load_participants`."""
    participants, report = load_participants(name, data_dir)
    return Cohort.closed(replace(participants, report=report), split_key(participants.schema))


def load_participants(name: str, data_dir: Path | None = None) -> tuple[Participants, LoadReport]:
    """Load a cohort's complete participants, unsealed: to check a schema, and for synthetic cohorts.

    Args:
        name: `sprint`, `sprint-simulated` (simulated and written where it is missing), `actg175`, `actg175-treat`,
            or the path of a schema.
        data_dir: where the tables lie. By default `data/NAME` for the two SPRINTs, the installed package for
            ACTG 175, the schema's folder for a path.

    Returns:
        The participants, and for the data steward what each rule dropped.

    Raises:
        CohortError: one paragraph that says what is wrong, where, and what to do.
    """
    schema = resolve_schema(name)
    directory = data_dir if data_dir is not None else _default_directory(name)
    if what_is_at(directory) == "file":
        raise CohortError(f"{directory} is a file. Give the folder that the tables of {schema.name} lie in.")
    if what_is_at(directory) is None and name not in ("sprint", SIMULATED):
        raise CohortError(
            f"The folder {directory} does not exist. Give the one that the tables of {schema.name} lie in."
        )
    if name == SIMULATED:
        from cohorts.simulator import ensure_simulated

        ensure_simulated(directory)
    if name == "sprint":
        _require_sprint(schema, directory)
    return read_participants(schema, directory, packaged=data_dir is None)


def _bundled(name: str) -> Schema:
    return Schema.load(Path(str(files("cohorts"))) / "schemas" / f"{name}.yaml")


def _default_directory(name: str) -> Path:
    if name in ("sprint", SIMULATED):
        return Path("data") / name
    return Path(name).parent


def _require_sprint(schema: Schema, directory: Path) -> None:
    for file in schema.tables.values():
        if not (directory / file).is_file():
            raise CohortError(
                f"{directory / file} does not exist. The SPRINT data may not be redistributed: request "
                "the challenge data set from the NHLBI's BioLINCC repository and put baseline.csv and "
                f"bp.csv into {directory}. To try things out, use the cohort {SIMULATED}, which needs no files: it "
                "simulates a trial like SPRINT."
            )
