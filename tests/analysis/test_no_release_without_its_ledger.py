"""Whatever is wrong with the ledger, no release is made of the study, and the error says what is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import StudyDirectory
from analysis.__main__ import main
from privacy.accounting.budget import Budget
from privacy.accounting.events import canonical_json
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import ledger_key
from privacy.ledger.receipt import record_receipt
from privacy.ledger.study_record import COPY, FIGURES, RECEIPTS, keep_record
from tests.privacy.ledgers import EPOCH
from tests.privacy.test_ledger_tampering import content_of, rehash, tamper

pytestmark = pytest.mark.usefixtures("blank_pictures")

KEY = ledger_key({"public": True, "cohort": "small"})


@pytest.fixture
def own(study: StudyDirectory, tmp_path: Path) -> Path:
    """The cohort's own ledger, of which the study holds a copy and a receipt."""
    own = tmp_path / "home" / "cohorts" / "small" / "ledger.db"
    shutil.copy(study.path / COPY, own)
    ledger = Ledger.open(own)
    record_receipt(study.path / RECEIPTS, ledger.receipt)
    ledger.close()
    return own


def entries(file: Path) -> int:
    ledger = Ledger.open(file, read_only=True)
    count = len(ledger.books.entries)
    ledger.close()
    return count


def both(study: StudyDirectory, own: Path, change: Callable[[Path], None]) -> None:
    for file in (study.path / COPY, own):
        change(file)


def removed(study: StudyDirectory, own: Path) -> None:
    own.unlink()


def copy_removed(study: StudyDirectory, own: Path) -> None:
    (study.path / COPY).unlink()


def edited(study: StudyDirectory, own: Path) -> None:
    def edit(file: Path) -> None:
        text = content_of(file, 2).replace('"noise_multiplier":1.2', '"noise_multiplier":9.9')
        tamper(file, ("UPDATE entries SET content = ? WHERE number = 2", (text,)))

    both(study, own, edit)


def overspent(study: StudyDirectory, own: Path) -> None:
    ledger = Ledger.open(own)
    ledger.declare("small-again", Budget(3.0, 1e-5), {"train": EPOCH}, afresh=True)
    ledger.charge(Charge(EPOCH, "train", "small-again", "train an epoch", "t"))
    ledger.close()
    last = entries(own)
    fields = json.loads(content_of(own, last))
    fields["event"] = {"type": "GaussianDpEvent", "noise_multiplier": 0.1}
    tamper(own, ("UPDATE entries SET content = ? WHERE number = ?", (canonical_json(fields), last)))
    rehash(own, KEY)


def swapped(study: StudyDirectory, own: Path) -> None:
    other = Path(own.parent.parent / "other" / "ledger.db")
    other.parent.mkdir(parents=True)
    shutil.copy(own, other)
    with_other_name = content_of(own, 1)
    tamper(own, ("UPDATE entries SET content = ? WHERE number = 1", (with_other_name.replace("ids", "idz"),)))
    rehash(own, ledger_key({"public": True, "cohort": "other"}))


def rolled_back(study: StudyDirectory, own: Path) -> None:
    tamper(own, f"DELETE FROM entries WHERE number > {entries(own) // 2}")


def short_of_its_end(study: StudyDirectory, own: Path) -> None:
    both(study, own, lambda file: tamper(file, f"DELETE FROM entries WHERE number > {entries(file) - 3}"))
    (study.path / FIGURES).unlink()


WRONGS = {
    removed: "ledger.db is not there",
    copy_removed: "there is no ledger at",
    edited: "entry 2",
    overspent: "overspent",
    swapped: "not written with its key",
    rolled_back: "rolled back",
    short_of_its_end: "last entries were removed",
}


@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: wrong.__name__)
def test_nothing_is_released_and_the_error_says_why(study, own, capsys, wrong):
    wrong(study, own)
    assert main([str(study.path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert WRONGS[wrong].lower() in said.lower()
    assert "Traceback" not in said
    assert not study.release.exists()
    assert [file.name for file in study.internal.iterdir()] == ["losses.jsonl"]  # which training wrote


def test_nothing_is_released_from_a_run_that_the_ledger_does_not_know_was_kept(study, own, capsys):
    (study.path / "winner").mkdir()
    (study.path / "winner" / "generator.pt").write_text("another study's")
    assert main([str(study.path)]) == 2
    assert "does not know that the study small kept a run" in " ".join(capsys.readouterr().err.split())
    assert not study.release.exists()


def test_nothing_is_released_from_measurements_that_the_ledger_does_not_know(study, own, capsys):
    (study.path / "measured.json").write_text("another study's")
    assert main([str(study.path)]) == 2
    assert "does not know what the study small bought" in " ".join(capsys.readouterr().err.split())
    assert not study.release.exists()


def test_an_older_release_is_left_as_it_was(study, own, capsys):
    assert main([str(study.path)]) == 0
    before = {file.name: file.read_bytes() for file in study.release.iterdir()}
    edited(study, own)
    assert main([str(study.path)]) == 2
    assert {file.name: file.read_bytes() for file in study.release.iterdir()} == before


def test_with_a_ledger_that_holds_there_is_a_release(study, own):
    ledger = Ledger.open(own)
    keep_record(ledger, study.path, "small", 1e-5)
    ledger.close()
    assert main([str(study.path)]) == 0
