"""The simulated trial has the published figures of SPRINT (NEJM 2015;373:2103; Beaulieu-Jones et al. 2019)."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from cohorts import CohortError, load_participants, resolve_schema
from cohorts.simulator import VISIT_CODES, ensure_simulated, main, simulate, write_simulated


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("sprint")
    ensure_simulated(path)
    return path


@pytest.fixture(scope="module")
def baseline(directory):
    return pd.read_csv(directory / "baseline.csv")


@pytest.fixture(scope="module")
def bp(directory, baseline):
    return pd.read_csv(directory / "bp.csv").merge(baseline[["MASKID", "INTENSIVE"]], on="MASKID")


@pytest.fixture(scope="module")
def cohort(directory):
    return load_participants("sprint-simulated", directory)[0]


def test_the_files_are_those_of_the_challenge(directory, baseline):
    assert list(baseline.columns)[:8] == [
        "MASKID",
        "INTENSIVE",
        "NEWSITEID",
        "RISK10YRS",
        "INCLUSIONFRS",
        "SBP",
        "DBP",
        "N_AGENTS",
    ]
    bp = pd.read_csv(directory / "bp.csv")
    assert list(bp.columns) == ["MASKID", "VISITCODE", "SBP", "DBP", "N_BPCLASSES"]
    assert set(bp["VISITCODE"]) == set(VISIT_CODES)
    assert len(VISIT_CODES) == 21
    assert not bp.duplicated(["MASKID", "VISITCODE"]).any()


def test_it_enrols_9361_in_two_arms(baseline):
    assert baseline["INTENSIVE"].value_counts().to_dict() == {0: 4683, 1: 4678}
    assert baseline["MASKID"].is_unique


def test_about_6502_are_complete(cohort):
    assert len(cohort) == pytest.approx(6502, rel=0.03)
    assert cohort.values.shape[1:] == (3, 12)
    assert cohort.labels.mean() == pytest.approx(3266 / 6502, abs=0.02)


@pytest.mark.parametrize(
    ("column", "mean", "spread", "tolerance"),
    [("SBP", 139.7, 15.6, 0.5), ("DBP", 78.1, 11.9, 0.4), ("N_AGENTS", 1.8, 1.0, 0.05)],
)
def test_baseline(baseline, column, mean, spread, tolerance):
    assert baseline[column].mean() == pytest.approx(mean, abs=tolerance)
    assert baseline[column].std() == pytest.approx(spread, abs=tolerance)


@pytest.mark.parametrize(("intensive", "sbp", "drugs"), [(1, 121.4, 2.8), (0, 136.2, 1.8)])
def test_one_year(bp, intensive, sbp, drugs):
    arm = bp[(bp["VISITCODE"] == "12M") & (bp["INTENSIVE"] == intensive)]
    assert arm["SBP"].mean() == pytest.approx(sbp, abs=1.5)
    assert arm["N_BPCLASSES"].mean() == pytest.approx(drugs, abs=0.2)


def test_means_over_all_visits_of_complete_cases(cohort):
    assert cohort.values.mean(axis=(0, 2)) == pytest.approx([129.0, 72.0, 2.27], rel=0.02)


def test_a_random_forest_tells_the_arms_apart_as_it_does_in_sprint(cohort):
    flat = cohort.values.reshape(len(cohort), 36)
    train, test = slice(0, 6000), slice(6000, 6502)
    assert len(flat[test]) == 502
    forest = RandomForestClassifier(random_state=0).fit(flat[train], cohort.labels[train])
    assert forest.score(flat[test], cohort.labels[test]) == pytest.approx(0.94, abs=0.02)


def test_the_figures_do_not_hang_on_the_seed():
    baseline, bp = simulate(seed=1)
    bp = bp.merge(baseline[["MASKID", "INTENSIVE"]], on="MASKID")
    year = bp[bp["VISITCODE"] == "12M"].groupby("INTENSIVE")
    assert year["SBP"].mean().to_numpy(float) == pytest.approx([136.2, 121.4], abs=1.5)
    assert year["N_BPCLASSES"].mean().to_numpy(float) == pytest.approx([1.8, 2.8], abs=0.2)


def test_titration_drives_the_difference_between_arms(cohort):
    means = {arm: cohort.values[cohort.labels == arm].mean(axis=0) for arm in (0, 1)}  # (3, 12)
    assert abs(means[0][0, 0] - means[1][0, 0]) < 1  # randomised: alike at baseline
    assert (np.diff(means[1][0, :7]) < 0).all()
    assert means[1][2, 6] - means[1][2, 0] > 0.8
    assert abs(means[0][2, 6] - means[0][2, 0]) < 0.2


def test_every_reading_lies_within_the_public_bounds():
    _, bp = simulate(participants=3000, seed=5)
    for measure in resolve_schema("sprint").measures:
        assert bp[measure.column].min() >= measure.lower
        assert bp[measure.column].max() <= measure.upper


def test_a_seed_gives_one_trial(tmp_path):
    texts = []
    for place in ("a", "b"):
        texts.append([path.read_bytes() for path in write_simulated(tmp_path / place, participants=200, seed=9)])
    assert texts[0] == texts[1]


def test_the_command_writes_two_files(tmp_path, capsys):
    main(["--out", str(tmp_path), "--seed", "3", "--participants", "300"])
    assert capsys.readouterr().out.split() == [str(tmp_path / "baseline.csv"), str(tmp_path / "bp.csv")]
    assert len(pd.read_csv(tmp_path / "baseline.csv")) == 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline.csv", "bp.csv"]


def test_somebodys_own_files_are_neither_overwritten_nor_taken_for_the_public_simulation(tmp_path):
    (tmp_path / "baseline.csv").write_text("mine")
    with pytest.raises(CohortError, match="--cohort sprint"):
        ensure_simulated(tmp_path)
    assert (tmp_path / "baseline.csv").read_text() == "mine"
    assert not (tmp_path / "bp.csv").exists()


def test_an_interrupted_or_outdated_simulation_is_written_anew(tmp_path):
    (tmp_path / "baseline.csv").write_text("half")
    (tmp_path / "SIMULATED.txt").write_text("Simulated by an older version")
    ensure_simulated(tmp_path)
    assert len(pd.read_csv(tmp_path / "baseline.csv")) == 9361
