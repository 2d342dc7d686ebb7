import subprocess
import sys

import pytest

from analysis.__main__ import main


def test_a_finished_study_is_rebuilt_and_what_was_written_is_said(study, capsys):
    assert main([str(study.path)]) == 0
    said = capsys.readouterr().out
    assert "visits-unaccounted.csv" in said
    assert "transfer.json" in said
    assert "logistic regression" in said
    assert "NOT covered" in said


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
