"""The page of a finished study of a public cohort, from the command."""

import json
import shutil

import pytest

from analysis.__main__ import main
from analysis.paper.reader import KEY_FILE, PLOTS
from privacy.ledger.ledger import Ledger
from privacy.ledger.summary import looks
from tests.analysis.conftest import placed

FIGURES = [
    "components",
    "epochs",
    "figure-1-losses",
    "figure-2-medians-dose-by-visit",
    "figure-2-medians-pressure-by-visit",
    "figure-3-correlations",
    "figure-4-accuracy",
    "figure-4-weights",
    "figure-5-delta",
]


@pytest.fixture(scope="module")
def sealed(finished, tmp_path_factory):
    """The study with its release and its page, in a place of its own."""
    with pytest.MonkeyPatch.context() as patch:
        directory = placed(finished, tmp_path_factory.mktemp("paper"), patch)
        assert main([str(directory.path)]) == 0
        assert main(["paper", str(directory.path), "--participants", "60"]) == 0
        yield directory


def books(directory):
    return Ledger.open(directory.path.parents[1] / "home" / "cohorts" / "small" / "ledger.db", read_only=True).books


def test_the_page_needs_no_other_file_and_has_its_figures_beside_it(sealed):
    folder = sealed.path / "paper"
    page = (folder / "index.html").read_text()
    assert {each.stem for each in folder.glob("*.png")} == {each.stem for each in folder.glob("*.svg")} == set(FIGURES)
    assert page.count("data:image/png;base64,") == len(FIGURES)
    assert 'src="figure' not in page
    assert "INTERNAL" not in page  # the cohort is public
    for title in ("Figure 2 A-D", "Figure 3 A-B", "Figure 4 A-D", "Figure 4 E-G", "Figure 5", "ranks", "components"):
        assert title in page


def test_its_numbers_are_there_for_machines(sealed):
    sections = json.loads((sealed.path / "paper" / "numbers.json").read_text())["sections"]
    likeness = next(each for each in sections if each["title"].startswith("Figure 3"))["blocks"][0]["data"]["likeness"]
    assert likeness["pairs"] == 15
    assert set(likeness["spearman"]) == {"private"}


def test_a_reader_keeps_the_kit_when_the_page_is_made_again(sealed, capsys):
    kit = sealed.path / "paper" / "reader"
    key = (kit / KEY_FILE).read_text()
    assert len(key.splitlines()) == PLOTS + 1
    before = looks(books(sealed).entries)
    assert main(["paper", str(sealed.path), "--participants", "20"]) == 0
    assert (kit / KEY_FILE).read_text() == key
    assert "stays as it is" in (sealed.path / "paper" / "index.html").read_text()
    assert looks(books(sealed).entries) == before + 1


def test_nobody_is_looked_at_before_the_release_is_sealed(study, capsys):
    before = looks(books(study).entries)
    assert main(["paper", str(study.path)]) == 2
    said = capsys.readouterr().err
    assert "no sealed release" in said
    assert "Traceback" not in said
    assert not (study.path / "paper").exists()
    assert looks(books(study).entries) == before


def test_a_release_that_was_edited_is_not_sealed(sealed, tmp_path, capsys):
    other = tmp_path / "results" / "small"
    shutil.copytree(sealed.path, other)
    (other / "release" / "README.md").write_text("mine")
    assert main(["paper", str(other)]) == 2
    assert "no sealed release" in capsys.readouterr().err


def test_a_study_that_is_not_there_ends_with_status_2(tmp_path, capsys):
    assert main(["paper", str(tmp_path / "nothing")]) == 2
    assert "does not exist" in capsys.readouterr().err
