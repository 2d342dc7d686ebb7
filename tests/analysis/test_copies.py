"""Copies of a trial and Rubin's rules: intervals that hold the noise that was bought."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import AnalysisError, combine
from analysis.datasheet import interval_section
from analysis.release import released_schema
from benchmarks.inference import measured_only, truth
from benchmarks.simulated_trial import ANALYSES, Found, analysed, schema_of, simulated
from cohorts import Encoding, Participants, Schema, write_copies
from privacy.mechanisms.histograms import NoisyHistograms, class_counts, size_variance
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.misfit import misfit
from privacy.mechanisms.normal_scores import NormalScores
from tests.cohorts.lossy_trial import LOSSY_SCHEMA, lossy_cohort
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.measured.copies import Copies

EFFECT, TRIALS = 1.0, 60
LARGE = 8000


def measured(people: Participants, rho: float) -> Measured:
    return Measurements.costing(people.schema, 1.0, rho).release(people.values, people.labels)


def copies_of(people: Participants, rho: float, count: int, seed: int = 0) -> list[Participants]:
    copies = Copies(measured(people, rho), people.schema, np.random.default_rng(seed))
    return [copies.draw(len(people)) for _ in range(count)]


@pytest.fixture(scope="module")
def trial() -> Participants:
    return simulated(500, EFFECT, np.random.default_rng(3))


@pytest.fixture(scope="module")
def copies(trial) -> list[Participants]:
    """Ten, at the noise of epsilon 3."""
    return copies_of(trial, 0.22, 10)


def test_what_is_measured_of_a_copy_is_what_was_bought_as_far_as_noise_tells():
    for people in (lossy_cohort(400, Schema.model_validate({**LOSSY_SCHEMA, "nominal_size": 400}), 1),
                   small_cohort(Schema.model_validate(SMALL_SCHEMA), 400)):  # fmt: skip
        bought = measured(people, 0.2)
        copies = Copies(bought, people.schema, np.random.default_rng(0))
        found = np.median([misfit(bought, copies.draw(400))["misfit_products"] for _ in range(5)])
        assert found < 2  # noise was added once more: twice its variance, no more


def test_sizes_of_an_outcomes_classes_are_what_was_measured_as_far_as_noise_tells_and_arms_are_what_was_decided():
    """Whatever was expected of the outcome: one half has it by the schema, and 13 % of these."""
    for randomised in (False, True):
        label = {**SMALL_SCHEMA["label"], "randomised": randomised}
        schema = Schema.model_validate({**SMALL_SCHEMA, "label": label, "nominal_size": 600})
        everybody = small_cohort(schema, 1400, 2)
        own = [np.flatnonzero(everybody.labels == label)[:size] for label, size in ((0, 522), (1, 78))]
        bought = measured(everybody.take(np.concatenate(own)), 0.2)
        noise_sd = bought.histograms[0].noise_sd * size_variance(NormalScores(schema, bought.histograms).bins) ** 0.5
        copies = Copies(bought, schema, np.random.default_rng(0))
        sizes = [int((copies.draw(600).labels == 1).sum()) for _ in range(2 if randomised else 12)]
        if randomised:
            assert set(sizes) == {300}
            continue
        assert np.mean(sizes) == pytest.approx(78, abs=4 * noise_sd)
        assert 0.5 * noise_sd < np.std(sizes) < 1.7 * noise_sd


def test_copies_differ_by_the_noise_and_by_little_where_there_is_none(trial, copies):
    found, names = analysed(trial), list(ANALYSES)[:4]  # means, and differences between arms

    def in_errors(drawn: list[Participants]) -> np.ndarray:
        """Estimates of each copy less those of the trial, over the trial's standard errors."""
        each = [analysed(copy) for copy in drawn]
        return np.array(
            [[(one[name].estimate - found[name].estimate) / found[name].error for name in names] for one in each]
        )

    exact, noisy = in_errors(copies_of(trial, 1e6, 5)), in_errors(copies)
    spread = [float(np.sqrt(drawn.var(axis=0, ddof=1).mean())) for drawn in (exact, noisy)]
    assert spread[0] < 0.45 < spread[1]
    assert (np.abs(exact.mean(axis=0)) < 1).all()


def test_a_copy_keeps_differences_between_classes_where_some_measures_are_few_whole_numbers():
    """In a trial of thousands, whose standard errors are small: without noise, within one and a half."""
    rng, label = np.random.default_rng(0), {**SMALL_SCHEMA["label"], "randomised": False}
    drugs = {"name": "drugs", "kind": "integer", "lower": 0, "upper": 5, "column": "drugs"}
    changed = {"name": "large", "nominal_size": LARGE, "label": label, "measures": [SMALL_SCHEMA["measures"][0], drugs]}
    labels, level = rng.integers(0, 2, LARGE), rng.normal(0, 1, LARGE)[:, None]
    pressure = 145 + 12 * level - 15 * labels[:, None] + rng.normal(0, 5, (LARGE, 3))
    taken = 1 + labels[:, None] + level / 2 + rng.normal(0, 0.7, (LARGE, 3))
    values = np.stack([pressure.round().clip(80, 200), taken.round().clip(0, 5)], axis=1)
    ids = np.array([f"P{each}" for each in range(LARGE)])
    schema = Schema.model_validate({**SMALL_SCHEMA, **changed})
    people = Participants(schema, ids, labels, values.astype(np.float32))
    (copy,) = copies_of(people, 1e6, 1)

    def apart(those: Participants) -> np.ndarray:
        return np.subtract(*(those.values[those.labels == each].mean(axis=0, dtype=float) for each in (1, 0)))

    error = np.sqrt(sum(values[labels == each].var(axis=0) / (labels == each).sum() for each in (0, 1)))
    assert (np.abs(apart(copy) - apart(people)) / error).max() < 1.5


def test_distributions_of_copies_are_as_far_apart_as_noise_puts_them_from_the_trials(trial):
    """Once all copies had the one that the noisy histograms say, wrong as it was."""
    mechanism = NoisyHistograms.costing(trial.schema, 1.0, 0.05)
    positions, bins = Encoding(trial.schema).positions(trial.values), sum(each.width for each in mechanism.bins)
    true = class_counts(positions, trial.labels, mechanism.bins, 2).reshape(2, -1)
    true = true / np.bincount(trial.labels)[:, None]
    wrong, apart = [], []
    for seed in range(8):
        known, rng = mechanism.release(positions, trial.labels), np.random.default_rng(seed)
        smooth = np.array([each.smooth for each in known])
        wrong.append(np.square(smooth - true).mean())
        others = (mechanism.again(known, [np.zeros(bins)] * 2, rng) for _ in range(3))
        apart += [np.square(np.array([each.smooth for each in other]) - smooth).mean() for other in others]
    assert 0.5 < np.sqrt(np.mean(apart) / np.mean(wrong)) < 1.5  # about 0.75: smoothing is wrong beside the noise, too


def test_copies_differ_in_how_values_are_spread_as_far_as_noise_lets_that_be_unknown(trial):
    def spread(people: Participants) -> np.ndarray:
        return people.values.std(axis=0)[:2, 0].astype(float)  # of two measures at the first visit

    off = []
    for seed in range(3):
        drawn = np.log([spread(copy) for copy in copies_of(trial, 0.05, 5, seed)])
        off.append((drawn.mean(axis=0) - np.log(spread(trial))) / drawn.std(axis=0, ddof=1))
    assert np.median(np.abs(off)) < 2.5  # about 0.8


def test_no_copy_has_nearly_the_same_value_for_everybody_however_large_the_noise():
    """Products of many measures of few participants are mostly noise, and once made the spread of some next to 0."""
    changed = {**SMALL_SCHEMA, "name": "noisy", "nominal_size": 300}
    measures = [{**SMALL_SCHEMA["measures"][0], "name": f"pressure {each}", "column": f"p{each}"} for each in range(8)]
    schema = Schema.model_validate({**changed, "measures": measures})
    rng = np.random.default_rng(0)
    values = (140 + rng.normal(0, 12, (300, 8, 1)) + rng.normal(0, 6, (300, 8, 3))).round().clip(80, 200)
    people = Participants(schema, np.arange(300).astype(str), rng.integers(0, 2, 300), values.astype(np.float32))
    for copy in copies_of(people, 0.3, 3):
        spread = np.array([copy.values[copy.labels == arm].std(axis=0) for arm in (0, 1)])  # 13 in truth
        assert spread.min() > 2.5 and 8 < np.median(spread) < 25


READMITTED = {
    **SMALL_SCHEMA,
    "name": "readmitted",
    "nominal_size": 400,
    "label": {**SMALL_SCHEMA["label"], "randomised": True},
    "visits": {"codes": ["baseline", "day 90"], "baseline": "baseline"},
    "measures": [
        {"name": "sbp", "kind": "integer", "lower": 80, "upper": 200, "columns": {"baseline": "sbp"}},
        {"name": "bmi", "kind": "continuous", "lower": 12, "upper": 80, "decimals": 1, "columns": {"baseline": "bmi"}},
        {
            "name": "crp",
            "kind": "continuous",
            "lower": 0,
            "upper": 500,
            "decimals": 1,
            "scale": "log",
            "missing": "allowed",
            "columns": {"baseline": "crp"},
        },
        {"name": "nyha", "kind": "ordinal", "categories": [1, 2, 3, 4], "columns": {"baseline": "nyha"}},
        {"name": "readmitted", "kind": "binary", "categories": ["no", "yes"], "columns": {"day 90": "readmitted"}},
    ],
    "covariates": [
        {"name": "age", "kind": "integer", "lower": 18, "upper": 100, "column": "age"},
        {"name": "sex", "kind": "binary", "categories": ["f", "m"], "column": "sex"},
        {"name": "smoker", "kind": "categorical", "categories": ["never", "former", "now"], "column": "smoker"},
    ],
}


def readmitted(seed: int) -> Participants:
    """Some 19 % of one arm and 30 % of the other; whose scores before randomisation hardly vary in some directions."""
    rng, count = np.random.default_rng(seed), READMITTED["nominal_size"]
    schema, arm = Schema.model_validate(READMITTED), rng.integers(0, 2, count)
    age, nyha = rng.normal(66, 10, count).round().clip(18, 100), rng.choice(4, count, p=[0.2, 0.45, 0.32, 0.03])
    risk = 1 / (1 + np.exp(1.3 - 0.03 * (age - 66) - 0.5 * (nyha - 1) + 0.6 * arm))
    smoker, sex = rng.choice(3, count, p=[0.45, 0.35, 0.2]), rng.random(count) < 0.6
    bmi, pressure = rng.normal(27, 4.5, count).round(1), rng.normal(138, 17, count).round().clip(80, 200)
    crp = np.where(rng.random(count) < 0.15, np.nan, np.exp(rng.normal(1.2, 0.9, count)).round(1))
    values = np.full((count, 8, 2), np.nan, dtype=np.float32)
    for row, column in enumerate((pressure, bmi, crp, nyha, None, age, sex, smoker)):
        values[:, row, 0] = np.nan if column is None else column
    values[:, 4, 1] = rng.random(count) < risk
    return Participants(schema, np.arange(count).astype(str), arm, values)


def test_what_comes_after_randomisation_is_as_common_in_copies_as_in_the_trial():
    """Arms that were made alike before it once moved this to 0 or 100 % in two copies of five."""
    for seed in range(6):
        people = readmitted(seed)
        (copy,) = copies_of(people, 0.22, 1, seed)
        for arm in (0, 1):
            true, made = (each.values[each.labels == arm, 4, 1].mean(dtype=float) for each in (people, copy))
            assert made == pytest.approx(true, abs=0.17)


def test_arms_of_a_copy_are_alike_before_randomisation(copies):
    apart = [
        np.subtract(*(copy.values[copy.labels == arm, 0, 0].mean(dtype=float) for arm in (0, 1))) for copy in copies
    ]
    assert np.sqrt(np.mean(np.square(apart))) < 0.6  # mmHg; by chance it would be 1.2


def test_combined_are_the_mean_and_both_variances():
    found = combine([1.0, 2.0, 3.0], [0.5, 0.5, 0.5]).iloc[0]
    assert found["estimate"] == 2 and found["standard_error"] == pytest.approx(np.sqrt(0.25 + 4 / 3))
    assert found["df"] == pytest.approx(2 * (1 + 0.25 / (4 / 3)) ** 2)


def test_coefficients_keep_their_names_and_one_copy_has_no_interval():
    one = pd.Series({"arm": -8.0, "age": 0.4})
    assert list(combine([one, one + 1], [one.abs(), one.abs()]).index) == ["arm", "age"]
    with pytest.raises(AnalysisError, match="at least two"):
        combine([1.0], [0.1])
    with pytest.raises(AnalysisError, match="2 estimates and 1 standard errors"):
        combine([1.0, 2.0], [0.1])


def test_copies_are_written_with_their_numbers(copies, tmp_path):
    names = [file.name for file in write_copies(copies, tmp_path)]
    assert names == [f"{table}-copies.{kind}" for table in ("people", "visits") for kind in ("csv", "parquet")]
    people = pd.read_parquet(tmp_path / "people-copies.parquet")
    assert next(iter(people.columns)) == "copy" and people.groupby("copy").size().to_dict() == dict.fromkeys(
        range(1, 11), 500
    )


@pytest.mark.skipif(not shutil.which("Rscript"), reason="needs R")
def test_r_reads_copies_as_the_page_and_the_datasheet_say_and_combines_them_as_we_do(copies, tmp_path):
    if subprocess.run(["Rscript", "-e", "library(mitools)"], capture_output=True).returncode:
        pytest.skip("needs R's package mitools")
    named = released_schema(schema_of(500), "synthetic")
    write_copies([replace(copy, schema=named) for copy in copies], tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "intervals.md").read_text()
    ran = run_r(page.split("```r\n")[1].split("```")[0], tmp_path)
    by_r = [float(number) for number in ran.splitlines()[-1].split()[1:5]]
    ours = combine(*zip(*[(each.estimate, each.error) for each in map(mean_pressure, copies)], strict=True))
    assert by_r == pytest.approx(ours.iloc[0, :4].to_numpy(), rel=1e-5)
    section = interval_section(named, 10).split("```r\n")[1].split("```")[0]
    assert "arm" in run_r(section, tmp_path)


def test_the_datasheet_says_how_to_merge_copies_and_how_much_noise_widens_intervals():
    named = released_schema(schema_of(500), "synthetic")
    said = interval_section(named, 10, 1.31)
    assert '`by = c("copy", "id")`' in said and "take one visit" in said
    assert "about 1.3 times as wide as the trial's own." in said
    assert "most analyses will tell little" in interval_section(named, 10, 4.0)
    assert "times as wide" not in interval_section(named, 10)


def mean_pressure(copy: Participants) -> Found:
    return analysed(copy)["mean pressure of the treated"]


def run_r(script: str, folder: Path) -> str:
    ran = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_intervals_from_copies_hold_and_those_of_a_single_copy_do_not():
    found = [measured_only(500, 3.0, EFFECT, seed) for seed in range(1000, 1000 + TRIALS)]
    true = truth(EFFECT)

    def coverage(way: str) -> float:
        return float(
            np.mean([row[way][what][1] <= true[what] <= row[way][what][2] for row in found for what in ANALYSES])
        )

    assert 0.93 < coverage("copies") < 0.995
    assert coverage("single") < 0.9
