"""A study on disk: what was asked for, and where each part of it lies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from analysis.errors import AnalysisError
from cohorts import SplitShares, storage

if TYPE_CHECKING:
    from privacy.planning.allocation import DeclaredPlan

FORMAT = 7
STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # the name becomes a folder, and files beside it longer ones
SETTINGS_FILE = "study.json"
PLAN_FILE = "plan.json"
WINNER, WINNER_FILE = "winner", "winner.json"  # the best of a secret number of runs
TRIALS = "trials"  # the Ray Tune experiment of the search


class StudySettings(BaseModel):
    """What a study was asked to do, as written when it starts.

    Args:
        format: Of everything in the study's directory; it changes when an older study cannot be gone on with.
        study: Name of the study, also of its directory and of the Optuna study.
        cohort: The `--cohort` as given: a known name or the path of a schema.
        data_dir: Folder of the trial's files, or None for the cohort's own place.
        search_space: The `--search-space` as given: a name or the path of a YAML file.
        policy: What the search may read and what it is charged.
        preset: Whose study it makes again; None for nobody's.
        shares: Expected shares of participants in training, validation and test.
        epsilon: The declared budget; under `unaccounted` the largest that a single trial's training may reach, which
            is infinite in a run of the paper's command.
        delta: The delta that goes with every epsilon of the study.
        search_minutes: When a search by a secret number of runs ends; None where it ends with them.
        trials: How many trials the study runs.
        max_epochs: The most epochs any trial trains.
        engine: Which training engine computes the trials.
        copies: How many copies the release has beside the synthetic cohort, for intervals; 0 for none.
        seed: Seed of a repeatable study; only ever set for a public cohort.
        cpus_per_trial: CPU cores of one trial, may be a fraction; None to fit the machine.
        gpus_per_trial: GPUs of one trial, may be a fraction; None to fit the machine.
        ledger: the cohort's ledger, where it is not in the user's data directory.
        storage: `--storage` as given, a path or URI that all nodes see; None keeps trials with the study.
        digests: SHA-256 of what the schema and the search space said when the study started, by option.
        created: When the study started, with its time zone.
        versions: Version of each package that took part.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    study: str = Field(pattern=STUDY_NAME)
    cohort: str = Field(min_length=1)
    data_dir: Path | None = None
    search_space: str = Field(min_length=1)
    policy: str
    preset: str | None = None
    shares: SplitShares = SplitShares()
    epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, lt=1)
    search_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    trials: int = Field(ge=1)
    max_epochs: int = Field(ge=1)
    engine: Literal["packed", "opacus"]
    copies: int = Field(default=0, ge=0)
    seed: int | None = None
    cpus_per_trial: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    gpus_per_trial: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    ledger: Path | None = None
    storage: str | None = None
    digests: dict[str, str] = Field(default_factory=dict)
    created: datetime
    versions: dict[str, str] = Field(default_factory=dict)

    @field_validator("ledger")
    @classmethod
    def _a_file(cls, ledger: Path | None) -> Path | None:
        if ledger and not ledger.name:
            raise ValueError("a ledger is a file")
        return ledger

    @field_validator("policy")
    @classmethod
    def _known(cls, policy: str) -> str:
        from privacy.policies import policies  # here, so that --help need not wait for the accountant

        if policy not in {each.name for each in policies()}:
            raise ValueError("there is no search policy of this name")
        return policy

    def write(self, directory: Path) -> Path:
        """Write the settings as `study.json`, whole or not at all.

        Args:
            directory: The study's directory; made if missing.

        Returns:
            The path of the file.
        """
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / SETTINGS_FILE
        storage.write_text(file, self.model_dump_json(indent=2) + "\n")
        return file

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the settings of a study.

        Args:
            directory: The study's directory.

        Returns:
            The settings as they were written.

        Raises:
            AnalysisError: The directory or its `study.json` is missing, unreadable or not valid.
        """
        file = directory / SETTINGS_FILE
        if not directory.is_dir():
            problem = "it is a file, not a directory" if directory.exists() else "the directory does not exist"
            raise AnalysisError(
                f"There is no study at {directory}: {problem}. Give the directory of a "
                "study, such as results/NAME, as tuner/run.py printed it."
            )
        try:
            _require_this_format(directory, file.read_bytes())
            return cls.model_validate_json(file.read_bytes())
        except FileNotFoundError as error:
            raise AnalysisError(
                f"{directory} is not a study: it holds no {SETTINGS_FILE}. Give the directory of a study, such "
                "as results/NAME, as tuner/run.py printed it."
            ) from error
        except OSError as error:
            raise AnalysisError(
                f"The settings of the study cannot be read: {file}: {error.strerror}. Check the file's "
                "permissions and try again."
            ) from error
        except ValidationError as error:
            raise AnalysisError(
                f"The settings of the study are not valid: {file}: {_first_fault(error)}. The file is written "
                "by tuner/run.py and is not meant to be edited; restore it, or run the study again."
            ) from error


@dataclass(frozen=True)
class StudyDirectory:
    """Where each part of a study lies.

    Args:
        path: The study's directory, `results/STUDY`.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.path.resolve().name

    @property
    def database(self) -> Path:
        """Optuna's storage; `optuna-dashboard` opens it."""
        return self.path / "study.db"

    @property
    def artifacts(self) -> Path:
        """Copies of the release's figures, which `optuna-dashboard --artifact-dir` shows."""
        return self.path / "artifacts"

    @property
    def trials(self) -> Path:
        """Ray Tune's experiment directory, where the study has no storage of its own."""
        return self.path / TRIALS

    def storage_path(self, settings: StudySettings) -> str:
        """What Ray Tune takes as `storage_path`: the study's directory, or its folder in the given storage."""
        if settings.storage is None:
            return str(self.path.resolve())
        return f"{settings.storage.rstrip('/')}/{settings.study}"

    @property
    def plan_file(self) -> Path:
        """How the declared budget is divided."""
        return self.path / PLAN_FILE

    @property
    def winner(self) -> Path:
        """The best of a secret number of runs: its generator, and what it is."""
        return self.path / WINNER

    def experiment(self, settings: StudySettings, name: str = TRIALS) -> str:
        """Path or URI of one of Ray Tune's experiment directories."""
        return f"{self.storage_path(settings)}/{name}"

    def trial_log(self, name: str = TRIALS) -> Path:
        """What the trials of one of its searches reported."""
        return self.path / f"{name}.jsonl"

    @property
    def losses(self) -> Path:
        """Mean losses of both networks by epoch, a line of JSON each, under a policy that shows them; never publish."""
        return self.internal / "losses.jsonl"

    def declared_plan(self) -> DeclaredPlan:
        """Read what was declared and how it is divided.

        Raises:
            AnalysisError: it is missing or not valid.
        """
        from analysis.paper_run import plan_of, run_in  # here, so that --help need not wait for the accountant
        from privacy.planning.allocation import DeclaredPlan

        run = run_in(self.path)
        if run is not None:
            return plan_of(run)
        try:
            return DeclaredPlan.model_validate_json(self.plan_file.read_bytes())
        except (OSError, ValidationError) as error:
            raise AnalysisError(
                f"The study's plan {self.plan_file} cannot be read, and without it there is no telling what was "
                "declared. Restore it from a backup."
            ) from error

    @property
    def internal(self) -> Path:
        """Figures and tables computed from real participants: never publish."""
        return self.path / "internal"

    @property
    def release(self) -> Path:
        """What may be published."""
        return self.path / "release"

    def settings(self) -> StudySettings:
        """Read the study's settings; see `StudySettings.read`. A run of the paper's command is a study of one trial."""
        from analysis.paper_run import run_in, settings_of  # here, so that --help need not wait for PyTorch

        run = run_in(self.path)
        return StudySettings.read(self.path) if run is None else StudySettings(**settings_of(run, self.path))


def _require_this_format(directory: Path, content: bytes) -> None:
    """Raise AnalysisError for a study of another version; what it charged stays in the cohort's ledger all the same."""
    try:
        found = json.loads(content).get("format", 1)
    except (ValueError, AttributeError, RecursionError):
        return  # what is wrong with it, the model says better
    if found != FORMAT:
        raise AnalysisError(
            f"The study {directory} was begun by another version of dpgan-tune (format {found}, not {FORMAT}), and "
            "this version can neither resume nor rebuild it. Use the version that study.json names, or begin a new "
            "study: what this one read of the participants still counts in the cohort's ledger."
        )


def _first_fault(error: ValidationError) -> str:
    """The first fault pydantic found, as `key: what is wrong`."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"])
    return f"{key}: {fault['msg']}" if key else str(fault["msg"])
