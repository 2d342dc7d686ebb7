"""Whole studies by the command, under policies whose epsilon covers everything."""

import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
import yaml

from cohorts import Schema, load_participants, write_cohort
from privacy.__main__ import main as check_ledger
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from tests.conftest import SMALL_SCHEMA, small_cohort
from tuner.run import main as tune

ROOT = Path(__file__).parents[2]
OPTIONS = ("--search-space", "smoke", "--max-epochs", "4")
# With several sampling rates a shortlist is decided in the open: a secret number of runs would need more noise.
SEVERAL_RATES = ("--search-space", "rates.yaml", "--max-epochs", "4")


@dataclass(frozen=True)
class Ran:
    """What a command said, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def in_folder(folder: Path, command: Callable[[Sequence[str]], int], *arguments: str) -> Ran:
    """Run a command in this process, which has imported everything already."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", "120")
        patch.setenv("DPGAN_TUNE_DATA", str(folder / "data"))
        patch.chdir(folder)
        status = command(arguments)
    return Ran(status, out.getvalue(), err.getvalue())


def run(folder: Path, *arguments: str) -> Ran:
    return in_folder(folder, tune, "--out", str(folder / "results"), *arguments)


def check(folder: Path, study: str) -> Ran:
    return in_folder(folder, check_ledger, str(folder / "results" / study))


def statement(folder: Path, study: str) -> dict:
    return json.loads((folder / "results" / study / "release" / "privacy_statement.json").read_text())


def charges(folder: Path, ledger_db: Path, study: str) -> list[Charge]:
    """What a study charged for its release."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPGAN_TUNE_DATA", str(folder / "data"))
        ledger = Ledger.open(ledger_db, read_only=True)
    return [charge for _, charge in ledger.books.release_charges() if charge.study == study]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private trial's files."""
    folder = tmp_path_factory.mktemp("budgeted")
    description = {**SMALL_SCHEMA, "name": "budgeted", "public": False}
    write_cohort(small_cohort(Schema.model_validate(description), 400, 1), folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(description))
    write_space(folder)
    return folder


def write_space(folder: Path) -> None:
    """The smallest search space, with several sampling rates."""
    space = yaml.safe_load((ROOT / "search_spaces" / "smoke.yaml").read_text())
    (folder / "rates.yaml").write_text(
        yaml.safe_dump({**space, "sampling_rate": {"uniform": [0.03, 0.2]}}, sort_keys=False)
    )


@pytest.fixture(scope="module")
def first(folder: Path) -> Ran:
    """A study that trains every trial on participants."""
    return run(
        folder, "--cohort", "small.yaml", "--study", "first", "--policy", "composed",
        *("--epsilon", "20", "--trials", "4"), *OPTIONS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def second(folder: Path, first: Ran) -> Ran:
    """A later study of the same participants, on a surrogate."""
    return run(
        folder, "--cohort", "small.yaml", "--study", "second", "--policy", "surrogate",
        *("--epsilon", "45", "--trials", "3"), *SEVERAL_RATES,
    )  # fmt: skip


@pytest.fixture(scope="module")
def third(folder: Path, second: Ran) -> Ran:
    """A third one, by a secret number of runs."""
    return run(
        folder, "--cohort", "small.yaml", "--study", "third", "--policy", "selection",
        *("--epsilon", "90", "--trials", "2"), *OPTIONS,
    )  # fmt: skip


def test_a_composed_study_releases_and_its_statement_covers_everything(folder, first):
    assert first.returncode == 0, first.stdout + first.stderr
    assert "covers everything that read participants" in first.stdout.split("Privacy statement")[-1].replace("\n", " ")
    stated = statement(folder, "first")
    assert (stated["epsilon"], stated["policy"], stated["accounted"]) == (20, "composed", True)
    assert max(stated["spent"].values()) <= 20
    assert check(folder, "first").returncode == 0
    for file in (folder / "results" / "first" / "release").iterdir():
        assert "unaccounted" not in file.name


def test_its_trials_report_nothing_exact(folder, first):
    database = f"sqlite:///{folder / 'results' / 'first' / 'study.db'}"
    for trial in optuna.load_study(study_name="first", storage=database).trials:
        assert not {"accuracy_random_forest", "spearman", "ks"} & trial.user_attrs.keys()


def test_a_second_study_of_the_same_participants_counts_the_first(folder, second):
    assert second.returncode == 0, second.stdout + second.stderr
    stated = statement(folder, "second")
    assert stated["other_studies"] == 1
    assert stated["internal_before"] == 1
    text = (folder / "results" / "second" / "release" / "privacy_statement.md").read_text()
    assert "1 other study of these participants, which the declared epsilon covers too" in text
    assert "opened for the data steward once" in text
    assert check(folder, "second").returncode == 0


def test_a_surrogate_is_bought_once_and_the_search_on_it_charges_nothing(folder, second):
    directory = folder / "results" / "second"
    charged = charges(folder, directory / "ledger.db", "second")
    assert sum(charge.purpose.startswith("buy") for charge in charged) == 1
    database = f"sqlite:///{directory / 'study.db'}"
    shortlist = optuna.load_study(study_name="second-shortlist", storage=database).trials
    assert {charge.trial for charge in charged if charge.trial} == {each.user_attrs["tune_trial"] for each in shortlist}
    released, _ = load_participants(str(directory / "release" / "schema-synthetic.yaml"))
    assert len(released) == SMALL_SCHEMA["nominal_size"]


def test_no_trial_of_either_search_leaves_the_state_of_its_training(folder, second):
    directory = folder / "results" / "second"
    assert {part.name for part in directory.iterdir()} >= {"trials", "shortlist"}
    assert list(directory.rglob("generator.pt")) and not list(directory.rglob("trial.pt"))


def test_a_study_that_goes_on_buys_no_second_surrogate_and_charges_nothing_again(folder, second):
    ledger = folder / "data" / "cohorts" / "budgeted" / "ledger.db"
    before = charges(folder, ledger, "second")
    resumed = run(folder, "--study", "second", "--resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert charges(folder, ledger, "second") == before


def test_losing_the_best_run_does_not_buy_another_search(folder, third):
    directory = folder / "results" / "third"
    (directory / "winner").rename(directory / "elsewhere")
    resumed = run(folder, "--study", "third", "--resume")
    assert resumed.returncode == 2
    assert "removed or changed" in " ".join(resumed.stderr.split())
    (directory / "elsewhere").rename(directory / "winner")


def test_a_secret_number_of_runs_leaves_nothing_but_the_best(folder, third):
    assert third.returncode == 0, third.stdout + third.stderr
    directory = folder / "results" / "third"
    assert statement(folder, "third")["trials"] is None
    assert statement(folder, "third")["other_studies"] == 2
    assert not (directory / "internal" / "runs").exists()
    assert not (directory / "trials").exists()
    charged = charges(folder, directory / "ledger.db", "third")
    assert sorted(charge.split for charge in charged) == ["train", "validation"]  # whole, however many runs there were
    study = optuna.load_study(study_name="third-selection", storage=f"sqlite:///{directory / 'study.db'}")
    assert study.trials == []
    assert check(folder, "third").returncode == 0


def test_a_study_that_does_not_fit_beside_earlier_ones_is_refused(folder, third):
    refused = run(folder, "--cohort", "small.yaml", "--study", "fourth", "--epsilon", "5", *OPTIONS)
    assert refused.returncode == 2
    assert "larger" in refused.stderr
    assert not (folder / "results" / "fourth").exists()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A study under the default policy, of a cohort of its own."""
    folder = tmp_path_factory.mktemp("measured")
    description = {**SMALL_SCHEMA, "name": "measured-trial", "public": False}
    write_cohort(small_cohort(Schema.model_validate(description), 400, 1), folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(description))
    asked = ("--cohort", "small.yaml", "--study", "once", "--trials", "3", "--max-epochs", "2")
    return folder, run(folder, *asked)


def test_by_default_participants_are_measured_once_and_the_search_charges_nothing(measured):
    folder, ran = measured
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert check(folder, "once").returncode == 0
    stated, directory = statement(folder, "once"), folder / "results" / "once"
    assert (stated["policy"], stated["epsilon"], stated["trials"], stated["search_trials"]) == ("measured", 3, 0, 3)
    charged = charges(folder, directory / "ledger.db", "once")
    assert [(each.split, each.kind, each.trial) for each in charged] == [
        ("train", "measurement", ""),
        ("validation", "measurement", ""),
    ]
    released, _ = load_participants(str(directory / "release" / "schema-synthetic.yaml"))
    assert len(released) == SMALL_SCHEMA["nominal_size"]


def test_a_study_that_lost_what_it_measured_cannot_buy_it_again(measured):
    folder, _ = measured
    directory = folder / "results" / "once"
    (directory / "measured.json").rename(directory / "elsewhere")
    resumed = run(folder, "--study", "once", "--resume")
    assert resumed.returncode == 2
    assert "Nothing was charged" in " ".join(resumed.stderr.split())
    (directory / "elsewhere").rename(directory / "measured.json")


def test_a_plan_reads_nobody_and_writes_nothing(tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL_SCHEMA, "name": "planned", "public": False}))
    planned = run(tmp_path, "--cohort", "small.yaml", "--epsilon", "40", "--trials", "4", "--plan", *OPTIONS)
    assert planned.returncode == 0, planned.stderr
    assert "no participant was read" in planned.stdout
    assert "measured once" in planned.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["small.yaml"]  # the trial's files are not even there


def test_a_seed_is_refused_where_noise_cannot_be_drawn_again(tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL_SCHEMA))
    refused = run(tmp_path, "--cohort", "small.yaml", "--seed", "1", "--epsilon", "40", *OPTIONS)
    assert refused.returncode == 2
    assert "cannot be drawn again" in " ".join(refused.stderr.split())
