"""What the paper's figures show, of made-up participants; no study is run."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis import AnalysisError, StudyDirectory
from analysis.paper.accuracy import accuracy_plate, accuracy_table
from analysis.paper.classifying import COMBINED, classify, count_of_models, in_subsets, selections
from analysis.paper.correlation import likeness
from analysis.paper.deltas import delta_plate, deltas_of
from analysis.paper.losses import loss_plate, losses_of
from analysis.paper.medians import quartiles
from analysis.paper.series import require_one_cohort, shown_epochs
from analysis.paper.times import visit_times
from analysis.paper.weighing import weight_plate
from analysis.selection import select
from cohorts import Schema, resolve_schema
from privacy import DPSGD
from privacy.accounting.rdp import delta_by_rdp
from tests.analysis.test_selection import scored
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.scoring import classifiers


def series(*epochs, **more):
    return SimpleNamespace(epochs=epochs, selection=select(epochs), name="private", **more)


def visiting(*codes):
    measures = [{**each, "column": each["name"]} for each in SMALL_SCHEMA["measures"]]
    return Schema.model_validate({**SMALL_SCHEMA, "visits": {"column": "visit", "codes": codes}, "measures": measures})


@pytest.mark.parametrize(
    ("codes", "places", "axis"),
    [
        (("RZ", "1M", "3M", "12M"), (0, 1, 3, 12), "Months"),
        (("baseline", "week 4", "week 8"), (0, 4, 8), "Weeks"),
        (("D0", "D7", "W4"), (0, 7, 28), "Days"),
        (("first", "second", "third"), (0, 1, 2), "Visit"),
        (("12M", "1M"), (0, 1), "Visit"),
    ],
)
def test_visits_stand_at_the_times_that_their_codes_name_or_at_equal_distances(codes, places, axis):
    times = visit_times(visiting(*codes))
    assert (times.places, times.axis) == (places, axis)
    assert times.known == (axis != "Visit")


def test_windows_stand_at_their_middles():
    windows = [{"name": "start", "from": 0, "to": 0}, {"name": "year 1", "from": 300, "to": 430, "centre": 365}]
    schema = visiting("a", "b").model_copy(
        update={"visits": visiting("a", "b").visits.model_validate({"column": "day", "windows": windows})}
    )
    assert visit_times(schema).places == (0, 365)


def test_no_epoch_is_shown_in_two_panels():
    shown = shown_epochs(series(scored("a", 1, 0.7, 0.8), scored("a", 2, 0.9, 0.9), scored("a", 3, 0.8, 0.7)))
    assert [(each.epoch.epoch, each.rank) for each in shown.values()] == [(3, 1), (2, 1), (1, 3)]


def test_a_panel_without_an_epoch_left_shows_none():
    shown = shown_epochs(series(scored("a", 1, 0.7, 0.8)))
    assert [each.epoch is not None for each in shown.values()] == [True, False, False]


def trained(noise, *, study="one", epochs=(1, 5), cohort=SMALL_SCHEMA, test=0.1):
    """A series of a study whose trial was scored at these epochs."""
    shares = SimpleNamespace(train=0.75, test=test)
    settings = SimpleNamespace(study=study, shares=shares, engine="opacus", delta=1e-5, data_dir=None, ledger=None)
    found = [scored("a", epoch, 0.7, 0.8, noise_multiplier=noise, sampling_rate=0.02) for epoch in epochs]
    return series(*found, private=noise > 0, settings=settings, schema=Schema.model_validate(cohort),
                  directory=StudyDirectory(Path("results") / study))  # fmt: skip


def test_delta_rises_by_the_epoch_and_falls_with_epsilon():
    found = deltas_of(trained(1.1))
    assert found.epochs.tolist() == [1, 2, 3, 4, 5]
    assert len(found.lines) > 2
    for epsilon, line in found.lines.items():
        assert (np.diff(line) > 0).all()
        assert line[-1] == delta_by_rdp(DPSGD(0.02, 1.1, 5 * 50).event, epsilon)
    ends = [line[-1] for _, line in sorted(found.lines.items())]
    assert ends == sorted(ends, reverse=True)


def test_a_trial_that_was_stopped_after_its_first_epoch_has_a_point():
    found = deltas_of(trained(1.1, epochs=(1,)))
    assert found.epochs.tolist() == [1]
    assert delta_plate([found]).svg


def test_training_without_noise_has_no_figure_5():
    assert deltas_of(trained(0)) is None


def test_studies_of_different_participants_make_no_page_together():
    require_one_cohort([trained(0), trained(1.1, study="two")])
    with pytest.raises(AnalysisError, match="different cohorts"):
        require_one_cohort([trained(0), trained(1.1, cohort={**SMALL_SCHEMA, "name": "other"})])
    with pytest.raises(AnalysisError, match="different participants for the test"):
        require_one_cohort([trained(0), trained(1.1, test=0.2)])


def test_quartiles_are_those_of_a_class_at_each_visit(cohort):
    pressure = cohort.schema.measures[0]
    found = quartiles(cohort, pressure, 1)
    assert found.shape == (3, 3)
    assert found[:, 2] == pytest.approx(np.quantile(cohort.values[cohort.labels == 1, 0, 2], (0.25, 0.5, 0.75)))


def test_quartiles_of_nobody_are_unknown_not_an_error(cohort):
    nobody = cohort.take(cohort.labels == 0)
    assert np.isnan(quartiles(nobody, cohort.schema.measures[0], 1)).all()


def test_two_halves_of_real_participants_correlate_better_than_strangers(cohort):
    apart = replace(cohort, values=np.random.default_rng(1).permuted(cohort.values, axis=0))
    alike = likeness(cohort, {"itself": cohort, "apart": apart})
    assert alike.pairs == 15
    assert alike.spearman["itself"] == pytest.approx(1)
    assert alike.spearman["apart"] < 0.6 < alike.halves
    assert alike.difference["apart"] > alike.halves_difference


@pytest.fixture(scope="module")
def classified():
    """A series that is as good as real, and one whose arms are the wrong way round."""
    schema = Schema.model_validate(SMALL_SCHEMA)
    train, test, good, other = (small_cohort(schema, 200, seed) for seed in (1, 2, 3, 4))
    wrong = replace(other, labels=1 - other.labels)
    drawn = {
        name: {each: in_subsets(people) for each in selections()} for name, people in (("good", good), ("wrong", wrong))
    }
    steps = []
    found = classify(train, test, drawn, 0, lambda: steps.append(1))
    assert len(steps) == count_of_models(2)
    return found, test


def test_accuracies_tell_good_participants_from_bad_ones_both_ways(classified):
    found, _ = classified
    assert set(found) == set(classifiers())
    for each in found.values():
        assert len(each.by_selection[COMBINED]["good"]) == len(each.reverse["good"]) == 10
        assert np.mean([p.accuracy for p in each.by_selection[COMBINED]["good"]]) > 0.8
        assert np.mean([p.accuracy for p in each.by_selection[COMBINED]["wrong"]]) < 0.2
        assert np.mean([p.accuracy for p in each.reverse["wrong"]]) < 0.2 < 0.8 < each.real.accuracy


def test_figure_4_and_its_table_hold_every_classifier_and_selection(classified):
    found, test = classified
    plate = accuracy_plate(found, test, ["good", "wrong"])
    assert plate.picture.png.startswith(b"\x89PNG")
    assert b"<svg" in plate.svg
    lines = {(each["classifier"], each["series"], each["selection"]) for each in plate.picture.data}
    assert len(lines) == len(classifiers()) * (1 + 2 * (len(selections()) + 1))
    assert len(accuracy_table(found, ["good", "wrong"]).rows) == len(lines)


def test_what_columns_count_is_alike_where_participants_are(classified):
    found, test = classified
    panels = weight_plate(found, test.schema, ["good", "wrong"]).picture.data
    assert [each["classifier"] for each in panels] == ["random_forest", "logistic_regression", "linear_svm"]
    assert panels[0]["columns"] == ["pressure week 0", "pressure week 4", "pressure week 8",
                                    "dose week 0", "dose week 4", "dose week 8"]  # fmt: skip
    for each in panels[1:]:
        assert each["spearman"]["good"] > 0.5
        assert each["spearman"]["wrong"] < 0


def losing(folder, *lines):
    directory = StudyDirectory(folder)
    directory.internal.mkdir()
    directory.losses.write_text("\n".join(lines))
    return series(scored("a", 1, 0.7, 0.8), directory=directory)


def line(trial, epoch, discriminator):
    return json.dumps({"trial": trial, "epoch": epoch, "discriminator": discriminator, "generator": 1.5})


def test_losses_are_those_of_the_trial_that_is_shown_each_epoch_once(tmp_path):
    found = losing(tmp_path, line("a", 1, 9), line("b", 1, 2), line("a", 2, 3), line("a", 1, 1), line("a", 3, 4)[:-7])
    losses = losses_of(found)
    assert [(each.epoch, each.discriminator) for each in losses] == [(1, 1), (2, 3)]
    assert loss_plate([found], [losses]).picture.data[0]["generator"] == [1.5, 1.5]


def test_losses_that_training_did_not_write_are_named_by_their_line(tmp_path):
    with pytest.raises(AnalysisError, match=r"line 2 of .*losses\.jsonl"):
        losses_of(losing(tmp_path, line("a", 1, 1), line("a", 2, "much")))


def test_a_study_without_losses_has_none(tmp_path):
    assert losses_of(series(scored("a", 1, 0.7, 0.8), directory=StudyDirectory(tmp_path))) == []


def test_the_bundled_trials_stand_at_their_true_times():
    assert visit_times(resolve_schema("sprint")).places[-1] == 27
    assert visit_times(resolve_schema("actg175")).places == (0, 20)
