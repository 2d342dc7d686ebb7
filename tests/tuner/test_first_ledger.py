"""A private cohort's ledger is begun when somebody says that it is the first, and nothing says otherwise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from privacy.errors import LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from privacy.planning.allocation import DeclaredPlan
from tests.cohorts.little_trial import schema_mapping, write_trial
from tests.privacy.ledgers import EPOCH
from tuner.errors import StudyError
from tuner.options import parser
from tuner.request import StudyRequest, begin_study, request_study
from tuner.run import main
from tuner.study import declare_budget, open_ledger

ASKED = ("--policy", "unaccounted")


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def little(tmp_path: Path) -> Path:
    """A private trial's schema, with its files beside it."""
    return Path(write_trial(tmp_path / "trial"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def request(schema: Path, out: Path, *options: str) -> StudyRequest:
    return request_study(parser().parse_args(["--cohort", str(schema), *ASKED, "--out", str(out), *options]))


def opened(schema: Path, out: Path, *options: str) -> Ledger:
    """The ledger that a study would charge, opened as the command does."""
    return open_ledger(request(schema, out, *options))


def begun(schema: Path, out: Path, *options: str) -> Path:
    """Begin a study, whose ledger is the first, and leave it; gives back the ledger's file."""
    asked = request(schema, out, "--study", "first", "--new-ledger", *options)
    ledger = open_ledger(asked)
    begin_study(asked, DeclaredPlan(plan=asked.plan, allocation=None))
    ledger.close()
    return ledger.file


def test_without_being_asked_none_is_begun_and_the_command_leaves_nothing(little, out, data_home, capsys):
    assert main(["--cohort", str(little), *ASKED, "--out", str(out)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "begin it with --new-ledger" in said and "python -m privacy restore FILE" in said
    assert not data_home.exists() and not out.exists()


def test_a_command_that_is_refused_for_its_files_leaves_no_key_either(little, out, data_home, capsys):
    visits = pd.read_csv(little.parent / "visits.csv")
    visits.iloc[:0].to_csv(little.parent / "visits.csv", index=False)
    assert main(["--cohort", str(little), *ASKED, "--new-ledger", "--out", str(out)]) == 2
    assert "visits.csv" in capsys.readouterr().err
    assert not data_home.exists() and not out.exists()


def test_nor_does_one_that_finds_the_same_people_in_another_ledger(little, out, data_home, tmp_path):
    again = Path(write_trial(tmp_path / "again", schema={**schema_mapping(), "name": "again"}))
    opened(little, out, "--new-ledger").close()
    with pytest.raises(LedgerError, match="known to the ledger of the cohort little"):
        opened(again, out, "--new-ledger")
    assert [folder.name for folder in (data_home / "cohorts").iterdir()] == ["little"]


def test_once_begun_it_is_not_begun_again(little, out):
    file = opened(little, out, "--new-ledger").file
    with pytest.raises(LedgerError, match=r"has a ledger at .* already"):
        request(little, out, "--new-ledger")
    assert opened(little, out).file == file


def as_it_was(out: Path, little: Path) -> None:
    """The study's schema stands where it stood."""


def with_its_schema_elsewhere(out: Path, little: Path) -> None:
    said = json.loads((out / "first" / "study.json").read_text())
    (out / "first" / "study.json").write_text(json.dumps({**said, "cohort": "/elsewhere/little.yaml"}))


def with_another_schema(out: Path, little: Path) -> None:
    said = json.loads((out / "first" / "study.json").read_text())
    (out / "first" / "study.json").write_text(json.dumps({**said, "digests": {}}))


def with_nothing_but_its_copy(out: Path, little: Path) -> None:
    (out / "first" / "study.json").write_text("{")


@pytest.mark.parametrize(
    "remains", [as_it_was, with_its_schema_elsewhere, with_another_schema, with_nothing_but_its_copy]
)
def test_after_the_data_directory_is_lost_a_study_remembers_that_there_was_one(
    little, out, data_home, remains: Callable[[Path, Path], None]
):
    file = begun(little, out)
    if remains is with_nothing_but_its_copy:
        Ledger.open(file, read_only=True).copy_to(out / "first" / "ledger.db")
    remains(out, little)
    shutil.rmtree(data_home)
    with pytest.raises(LedgerError, match=r"first holds an earlier study of the cohort little.*privacy restore FILE"):
        request(little, out, "--new-ledger")
    assert not data_home.exists()


def test_a_study_elsewhere_or_of_another_cohort_says_nothing(little, out, tmp_path, data_home):
    begun(little, out)
    shutil.rmtree(data_home)
    other = {**schema_mapping(), "name": "other"}
    opened(Path(write_trial(tmp_path / "other", schema=other)), out, "--new-ledger").close()
    opened(little, tmp_path / "another-out", "--new-ledger", "--other-people", "other").close()


def test_a_ledger_that_an_earlier_study_named_is_named_again(little, out, tmp_path):
    file = begun(little, out, "--ledger", str(tmp_path / "kept" / "trial.db"))
    with pytest.raises(LedgerError, match=f"name it with --ledger {file}"):
        request(little, out, "--new-ledger")
    assert opened(little, out, "--ledger", str(file)).file == file


def test_and_its_people_are_known_under_another_name(little, out, tmp_path):
    begun(little, out, "--ledger", str(tmp_path / "kept" / "trial.db"))
    again = Path(write_trial(tmp_path / "again", schema={**schema_mapping(), "name": "again"}))
    with pytest.raises(LedgerError, match="known to the ledger of the cohort little"):
        opened(again, out, "--new-ledger")


def test_what_lies_beside_a_lost_ledger_tells_that_it_was_there(little, out):
    file = opened(little, out, "--new-ledger").file
    file.unlink()
    file.with_name("ledger.db.key").unlink()
    file.with_name("ledger.db.receipts").write_text("")
    with pytest.raises(LedgerError, match="missing though its key is there, or its receipts"):
        request(little, out, "--new-ledger")


def test_a_public_cohort_is_not_troubled(out, tmp_path):
    public = Path(write_trial(tmp_path / "public", schema={**schema_mapping(), "public": True}))
    begun_at = opened(public, out).file
    shutil.rmtree(begun_at.parent)
    assert opened(public, out).file == begun_at


@pytest.mark.parametrize("public", [True, False])
def test_a_name_that_the_ledger_knows_is_not_taken_again_though_its_folder_is_gone(out, tmp_path, public):
    schema = Path(write_trial(tmp_path / "trial", schema={**schema_mapping(), "public": public}))
    asked = request(schema, out, "--study", "first", *(() if public else ("--new-ledger",)))
    ledger = open_ledger(asked)
    declare_budget(asked, ledger)  # a command that was interrupted before it read anybody may be given again
    ledger.charge(Charge(EPOCH, "train", "first", "train an epoch", "t1"))
    with pytest.raises(StudyError, match="Give the new study another name with --study"):
        declare_budget(asked, ledger)
