import subprocess
import sys
from contextlib import closing

import pytest

from analysis.__main__ import main
from cohorts import load_cohort
from privacy.ledger.ledger import Ledger
from trainables.trial_log import Ended, TrialLog

pytestmark = pytest.mark.usefixtures("blank_pictures")


def test_a_finished_study_is_rebuilt_and_what_was_written_is_said(study, capsys):
    assert main([str(study.path)]) == 0
    said = capsys.readouterr().out
    assert "visits-unaccounted.csv" in said
    assert "transfer.json" in said
    assert "logistic regression" in said
    assert "NOT covered" in said


def test_with_most_trials_lost_there_is_no_release_unless_it_is_asked_for(study, capsys):
    log = TrialLog(study.trial_log())
    completed = [line.trial for line in log.lines() if isinstance(line, Ended) and line.ended == "completed"]
    for trial in completed[:2]:  # a third has failed already
        log.append(Ended(trial=trial, ended="failed"))
    assert main([str(study.path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "3 of the 4 trials of the study small failed for good" in said and "--release-anyway" in said
    assert not study.release.exists()
    assert main([str(study.path), "--release-anyway"]) == 0
    report = " ".join((study.internal / "report.html").read_text().split())
    assert "3 of 4 trials failed for good" in report
    assert "failed for good" not in (study.release / "report.html").read_text(), "nothing paid for that"
    assert main([str(study.path)]) == 0, "a release that was sealed stays"


def test_a_ledger_that_is_busy_is_nobodys_mistake_and_ends_with_status_1(study, capsys, monkeypatch):
    ledger = Ledger.for_cohort(load_cohort(study.settings().cohort), study.settings().ledger)
    monkeypatch.setattr("privacy.ledger.database.WAIT_FOR_OTHERS_S", 0.01)
    with closing(ledger), ledger.chain.alone():
        assert main([str(study.path)]) == 1
    assert "another process holds it" in " ".join(capsys.readouterr().err.split())


def test_a_missing_study_ends_with_status_2_and_one_paragraph(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "nothing" in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_help_teaches_without_loading_anything_heavy():
    code = "import sys, analysis.__main__ as m\ntry: m.main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "release/" in said
    assert "never publish" in said


def test_a_call_without_a_study_ends_with_status_2():
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
