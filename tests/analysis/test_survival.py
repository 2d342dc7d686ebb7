"""Survival of a release, by groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis import combine
from analysis.reports.blocks import Picture
from analysis.reports.pictures import Shown
from analysis.reports.surviving import survival_sections
from analysis.survival import FollowUp, combined_survival, survival_table
from analysis.survival_figure import survival_figure
from cohorts import Encoding, Participants, Schema
from tests.cohorts.outcome_trials import NUMERIC, SURVIVAL, trial

PNG = b"\x89PNG\r\n"


def participants(times, events, sex, **changes) -> Participants:
    """People of these times to event (True) or censoring, and of this sex."""
    schema = Schema.model_validate(trial(SURVIVAL, **changes))
    encoding = Encoding(schema)
    values = encoding.decode(np.zeros((len(times), encoding.width)))
    labels, values[:, schema.outcome_row, 0] = schema.label.stretches.place(
        *schema.label.followed(np.asarray(times, dtype=float), np.asarray(events))
    )
    values[:, [m.name for m in schema.all_measures].index("sex"), 0] = sex
    ids = np.array([f"S{i}" for i in range(len(times))])
    return Participants(schema, ids, labels.astype(np.int64), values)


def followed(*arguments, **changes) -> FollowUp:
    found = FollowUp.of(participants(*arguments, **changes))
    assert found is not None
    return found


def test_the_curve_is_the_kaplan_meier_estimate():
    table = survival_table({"synthetic": followed([10, 20, 20, 50, 150, 500], [True, True, False, True, True, True],
                                                  [0] * 6, by=None)})  # fmt: skip
    row = table.iloc[0]
    assert (row["group"], row["number"], row["events"]) == ("everybody", 6, 4)  # the last is censored at 400
    assert row["without_event_at_100"] == pytest.approx(5 / 6 * 4 / 5 * 2 / 3)
    assert row["without_event_at_100_lower"] < row["without_event_at_100"] < row["without_event_at_100_upper"]
    assert row["median"] == 50
    assert np.isnan(row["hazard_ratio"]) and np.isnan(row["log_rank_p"])


def test_the_group_that_lives_longer_has_the_smaller_hazard():
    rng = np.random.default_rng(0)
    sex = np.arange(400) % 2
    times = np.ceil(rng.exponential(np.where(sex, 200, 100)))
    table = survival_table({"synthetic": followed(times, np.ones(400, dtype=bool), sex)}).set_index("sex")
    assert np.isnan(table.loc["f", "hazard_ratio"])  # to which m is compared
    assert table.loc["m", "hazard_ratio_lower"] < 0.5 < table.loc["m", "hazard_ratio_upper"]
    assert table.loc["m", "hazard_ratio_upper"] < 1 and (table["log_rank_p"] < 1e-6).all()


def test_a_group_without_events_or_participants_has_no_hazard_ratio():
    table = survival_table({"synthetic": followed([10, 20, 300], [True, True, False], [0, 0, 1])})
    assert table["hazard_ratio"].isna().all()
    alone = followed([10, 20, 300], [True, True, False], [0, 0, 0])
    assert survival_table({"synthetic": alone})["number"].tolist() == [3, 0]
    assert survival_figure(alone, None, "note").startswith(PNG)


def test_who_has_no_group_is_left_out():
    people = participants([10, 20, 300], [True, True, False], [0, 1, 0])
    row = [m.name for m in people.schema.all_measures].index("sex")
    schema = people.schema.model_copy(
        update={"covariates": tuple(c.model_copy(update={"missing": "allowed"}) for c in people.schema.covariates)}
    )
    people.values[1, row, 0] = np.nan
    found = FollowUp.of(Participants(schema, people.ids, people.labels, people.values))
    assert found.times.tolist() == [10, 300] and found.groups == ("f", "m")


def test_curves_are_drawn_with_real_participants_and_without():
    one, other = (followed(np.arange(1, 61) * 6, np.arange(60) % 3 > 0, np.arange(60) % 2) for _ in range(2))
    assert survival_figure(one, None, "note").startswith(PNG)
    assert survival_figure(one, None, "note") != survival_figure(one, other, "note")
    assert survival_table({"real": one, "release": other})["participants"].tolist() == ["real"] * 2 + ["release"] * 2


def test_a_label_of_another_kind_has_no_survival(cohort):
    assert FollowUp.of(cohort) is None
    schema = Schema.model_validate(trial(NUMERIC))
    encoding = Encoding(schema)
    people = Participants(schema, np.array(["S1"]), np.array([0]), encoding.decode(np.zeros((1, encoding.width))))
    assert FollowUp.of(people) is None


def test_copies_have_one_hazard_ratio_and_one_curve_whose_intervals_hold_the_noise():
    """Combined by hand on the scales that Rubin's rules are for; copies that differ have a wider interval than one."""
    sex, copies = np.arange(300) % 2, []
    for seed, mean in enumerate((160, 200, 260, 210)):  # noise has moved the effect in each
        times = np.ceil(np.random.default_rng(seed).exponential(np.where(sex, mean, 100)))
        copies.append(followed(times, np.ones(300, dtype=bool), sex))
    alone = [survival_table({"one": each}).set_index("sex") for each in copies]
    combined = combined_survival(copies).set_index("sex")
    assert set(combined["participants"]) == {"4 copies, combined"} and combined["log_rank_p"].isna().all()
    ratios = np.array([each.loc["m", ["hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper"]] for each in alone])
    logs = np.log(ratios.astype(float))
    by_hand = combine(list(logs[:, 0]), list((logs[:, 2] - logs[:, 1]) / 2 / 1.959964)).loc[0]
    found = combined.loc["m", ["hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper", "hazard_ratio_p"]]
    assert tuple(found) == pytest.approx((*np.exp(by_hand[["estimate", "lower", "upper"]]), by_hand["p"]))
    assert np.log(found.iloc[2] / found.iloc[1]) > 1.3 * np.median(logs[:, 2] - logs[:, 1])
    place = "without_event_at_100"
    for group in ("f", "m"):
        shares = [each.loc[group, place] for each in alone]
        lower, share, upper = combined.loc[group, [f"{place}_lower", place, f"{place}_upper"]]
        assert lower < share < upper and min(shares) < share < max(shares)
    assert np.isnan(combined.loc["f", "hazard_ratio"])


def test_what_one_copy_cannot_tell_is_empty():
    some, none = followed([10, 20, 300, 40], [True] * 4, [0, 0, 1, 1]), followed([10, 20, 300], [True] * 3, [0, 0, 0])
    assert combined_survival([some, none])["hazard_ratio"].isna().all()


def test_the_report_has_what_becomes_of_participants_and_says_which_intervals_to_cite():
    arguments = np.arange(1, 61) * 6, np.arange(60) % 3 > 0, np.arange(60) % 2
    people, copies = participants(*arguments), [followed(*arguments)] * 3
    table = pd.concat([survival_table({"synthetic": copies[0]}), combined_survival(copies)])
    (section,) = survival_sections(Shown(people, None, (), survival=table))
    picture, rows = section.blocks
    assert isinstance(picture, Picture) and picture.png.startswith(PNG)
    assert [row[0] for row in rows.rows] == ["synthetic"] * 2 + ["3 copies, combined"] * 2
    assert "cite those" in rows.look_for and all(row["hazard_ratio"] is None for row in rows.data if row["sex"] == "f")
    assert not list(survival_sections(Shown(people, None, ())))
