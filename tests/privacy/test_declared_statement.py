"""What a release under a declared budget tells an ethics board."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from cohorts import SplitShares
from privacy import LedgerError
from privacy.accounting.private_selection import LawOfRuns
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.ledger.ledger import Ledger
from privacy.ledger.summary import summarise
from privacy.mechanisms.dpsgd import DPSGD
from privacy.planning.allocation import DeclaredPlan, EpochAllocation
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.composed import Composed
from privacy.policies.selection import Selection
from privacy.statements.declared_budget import DeclaredBudget
from privacy.statements.events import CHECK_SCRIPT
from privacy.statements.sections import (
    CHECK_FILE,
    EVENTS_FILE,
    decimals_up,
    most_hits,
    of_two,
    plain_odds,
    significant_up,
    surest_belief,
)
from privacy.statements.statement import Chosen
from tests.privacy.ledgers import BUDGET, epoch, ledger_with

PLAN = StudyPlan(
    policy="composed",
    epsilon=BUDGET.epsilon,
    delta=BUDGET.delta,
    shares=SplitShares(),
    on_participants=Schedule(trials=4, rungs=(1, 3), reduction_factor=3),
    sampling_rate=0.1,
    scored_by=("auc_logistic_regression", "auc_random_forest"),
)
DECLARED = DeclaredPlan(
    plan=PLAN, allocation=EpochAllocation(train_order=8, epoch=0.1, surrogate_rho=0, score_noise_sd=0.02)
)
TRAINING = DPSGD(0.1, 4.0, 100).event
CHOSEN = Chosen(cohort="secret", epochs=3, training=(TRAINING, DPSGD(0.1, 4.0, 10).event), nominal_size=400)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """Four epochs of the study ``first``, and one of another."""
    ledger = ledger_with(4, tmp_path / "ledger.db")
    ledger.charge(epoch("another"))
    ledger.charge(epoch())
    return ledger


def statement(
    ledger: Ledger, declared: DeclaredPlan = DECLARED, study: str = "first", chosen: Chosen = CHOSEN, policy=None
) -> DeclaredBudget:
    summary = summarise(ledger.books, ledger.cohort, ledger.public, study)
    return (policy or Composed()).statement(summary, declared, chosen)


def test_the_first_sentence_states_the_declared_budget_and_that_it_covers_everything(ledger):
    first = statement(ledger).text().splitlines()[2]
    assert first.startswith(
        "**Epsilon 3 (delta 1e-05) covers everything that was read of participants to make this release, once their "
        "files were accepted: the training of every trial, every score, "
    )


def test_nothing_is_stated_where_more_was_spent_than_declared(ledger):
    summary = summarise(ledger.books, ledger.cohort, ledger.public, "first")
    with pytest.raises(LedgerError, match=r"declared epsilon 3.*charged 3.01.*[Pp]ublish nothing"):
        Composed().statement(replace(summary, spent={"train": 3.01}), DECLARED, CHOSEN)


def test_the_page_says_all_that_a_board_asks(ledger):
    text = statement(ledger).text()
    for phrase in (
        "one participant", "adding or removing", "taken as public", "dp-accounting", "opendp", "`internal/`",
        "| train | training by DP-SGD | 5 |", "standard deviation 0.02", "before the first reading",
        f"epsilon {decimals_up(epsilon_by_rdp(TRAINING, 1e-5), 2)}", "The ledger of secret", "privacy_events.json",
    ):  # fmt: skip
        assert phrase in text
    assert len(text.split()) < 1050


def test_another_study_of_the_participants_is_counted_and_named(ledger):
    assert statement(ledger).other_studies == 1
    first = ledger.books.entries[0]
    assert (
        f"ledger of secret (begun on {first.time[:10]}, first entry {first.hash[:12]}) also records 1 other study of "
        "these participants, which the declared epsilon covers too" in statement(ledger).text()
    )


def test_the_figures_are_the_ledgers_and_stay_within_what_was_declared(ledger):
    stated = statement(ledger)
    assert 0 < stated.spent["train"] <= stated.epsilon
    assert stated.receipt == str(ledger.receipt)


def test_the_json_says_the_same(ledger):
    stated = statement(ledger)
    fields = json.loads(json.dumps(stated.as_json(), allow_nan=False))
    assert fields["statement"] == stated.first_line
    assert (fields["epsilon"], fields["delta"], fields["accounted"]) == (3.0, 1e-5, True)
    assert fields["charges"] == [["train", "training by DP-SGD", 5]]


def secretly(**changes) -> DeclaredPlan:
    plan = PLAN.model_copy(update={"runs": LawOfRuns(mean=4, shape=0), **changes})
    return DeclaredPlan(plan=plan, allocation=DECLARED.allocation)


def test_a_secret_number_of_runs_is_not_told(ledger):
    stated = statement(ledger, secretly(), policy=Selection())
    assert "A secret number of runs" in stated.text()
    assert "how long the search took" in stated.text()
    assert stated.as_json()["trials"] is None


def test_a_search_that_ends_at_a_fixed_time_is_not_said_to_tell_by_its_duration(ledger):
    text = statement(ledger, secretly(search_minutes=90), policy=Selection()).text()
    assert "how long the search took" not in text
    assert "to end 90 minutes after it began, however many runs there were" in text


def test_what_holds_under_one_policy_only_is_not_said_under_another(ledger):
    in_the_open, in_secret = statement(ledger).text(), statement(ledger, secretly(), policy=Selection()).text()
    assert "charged again" in in_the_open and "charged again" not in in_secret
    assert "each classifier scored best" in in_the_open and "each classifier scored best" not in in_secret
    for text in (in_the_open, in_secret):
        assert "None of them is a person" not in text
        assert "How long a step of training takes" in text and "`shortlist/`" not in text
        assert "Noise of training: from a cryptographic generator" in text
    assert "which trials are stopped early" in in_the_open and "which trials are stopped early" not in in_secret


def test_looks_at_real_participants_and_earlier_draws_are_told(ledger):
    assert "no figures of real participants were opened" in statement(ledger).text()
    again = statement(ledger, chosen=replace(CHOSEN, internal_before=2, redrawn=1)).text()
    assert "opened for the data steward 2 times" in again
    assert "drew one release before this one" in again


def test_what_epsilon_means_is_said_in_odds_that_hold():
    """Against the optimal test of a mechanism that has exactly this guarantee: randomised response."""
    for epsilon, delta in ((0.5, 1e-5), (1.0, 0.0), (3.0, 1e-5), (8.0, 1e-5)):
        yes = math.exp(epsilon) / (1 + math.exp(epsilon))
        assert surest_belief(epsilon) == pytest.approx(yes)
        # It says "in" with probability yes where the person is in, and with 1 - yes where not: a test that believes it
        # part of the time has false alarms of 1 in 100.
        believed = min(1.0, 0.01 / (1 - yes))
        doubted = 0.0 if believed < 1 else (0.01 - (1 - yes)) / yes
        hits = believed * yes + doubted * (1 - yes)
        assert hits - 1e-12 <= most_hits(epsilon, delta, 0.01) <= hits + delta + 1e-12


@pytest.mark.parametrize(
    ("epsilon", "surest"), [(1, "73.2%"), (3, "95.3%"), (10, "99.996%"), (20, "99.9999998%"), (1e4, "100%")]
)
def test_a_belief_short_of_certainty_is_not_rounded_to_it_nor_below_what_it_is(epsilon, surest):
    assert f" or {surest} afterwards, whatever they compute" in plain_odds(epsilon, 1e-5)
    assert float(surest.rstrip("%")) >= 100 * surest_belief(epsilon) * (1 - 1e-12)


@pytest.mark.parametrize(
    ("epsilon", "factor", "afterwards"),
    [(1, "2.72", "2.7%, 23.2% or 73.2%"), (3, "20.1", "16.9%, 69.1% or 95.3%"),
     (10, "22,100", "99.6%, 99.96% or 99.996%")],
)  # fmt: skip
def test_a_large_epsilon_is_not_said_to_tell_next_to_nothing(epsilon, factor, afterwards):
    said = plain_odds(epsilon, 1e-5)
    assert f"at most about {factor} times as likely if a given person took part as if they did not" in said
    assert f"a chance of 1%, 10% or 50% beforehand that this person took part gives it at most {afterwards} " in said
    assert "almost the same" not in said


def test_whoever_knows_that_a_person_took_part_is_held_back_as_of_two_people():
    said = plain_odds(3, 1e-5)
    assert "Someone who already knows that a given person took part" in said
    assert "whatever else they know: as for two people, epsilon is 6 and delta 0.00022." in said
    assert "a factor of at most about 404: " in said and "at most 80.3%, 97.9% or 99.8% afterwards." in said
    assert "as for two people, nothing can be said" in plain_odds(20, 1e-5)


def test_odds_between_two_values_move_as_far_as_said_where_each_may_be_told_from_nobody_by_all_of_epsilon():
    """A mechanism with two results: at one value twice as likely as without the person, at the other half as likely."""
    epsilon, without = math.log(2), 1 / 3
    one, other = 2 * without, without / 2  # probabilities of the first result; of the second 1/3, 5/6, and 2/3 without
    assert (1 - without) / (1 - one) <= 2 * (1 + 1e-12) and (1 - other) / (1 - without) <= 2
    for beforehand in (0.01, 0.1, 0.5):
        afterwards = beforehand * one / (beforehand * one + (1 - beforehand) * other)
        assert afterwards == pytest.approx(surest_belief(2 * epsilon, beforehand))


def test_what_is_spent_on_two_groups_is_not_said_to_be_spent_on_one_person(ledger):
    text = statement(ledger).text()
    assert "Each participant is in one group only" in text
    assert "the remaining 10% had no part in making this release" in text
    assert "Nobody is in both groups, so the two do not add up." in text


def test_of_a_public_cohort_nothing_is_said_to_be_kept_secret(ledger):
    private, public = (replace(statement(ledger), public_cohort=public).text() for public in (False, True))
    assert "That a given person took part in the trial is not taken as public." in private
    assert "nobody's privacy is at stake" in public and "took part in the trial" not in public
    assert "A later study must declare a larger epsilon than this one" in private
    assert "its statement then covers this release as well" in private
    assert "each begins afresh" in public and "larger epsilon" not in public


@given(st.floats(1e-12, 1e6), st.integers(1, 4))
def test_a_bound_is_never_rounded_below_what_it_is(number, digits):
    for shown in (float(decimals_up(number, digits)), float(significant_up(number, digits))):
        assert shown >= number * (1 - 1e-11)
    assert float(decimals_up(number, digits)) <= number + 1.001 * 10.0**-digits
    assert float(significant_up(number, digits)) <= number * (1 + 1.001 * 10 ** (1 - digits))


@pytest.mark.parametrize("epsilon", [0.5, 3.0, 10.0])
def test_two_people_together_are_protected_as_stated_by_a_gaussian_that_has_just_this_guarantee(epsilon):
    def delta_of(epsilon: float, shift: float) -> float:
        """Of a Gaussian of standard deviation 1 that somebody moves by so much (Balle & Wang 2018, theorem 8)."""
        low, high = shift / 2 - epsilon / shift, -shift / 2 - epsilon / shift
        return float(norm.cdf(low) - math.exp(epsilon) * norm.cdf(high))

    shift = brentq(lambda each: delta_of(epsilon, each) - 1e-5, 1e-3, 10)
    stated = float(re.search(r"epsilon ([\d.]+) and delta (\S+),", of_two(epsilon, 1e-5)).group(2))
    assert f"epsilon {2 * epsilon:g} " in of_two(epsilon, 1e-5)
    assert 1e-5 < delta_of(2 * epsilon, 2 * shift) <= stated * 1.05


def test_epsilon_is_what_the_published_script_computes_from_the_published_events(ledger, tmp_path):
    stated = statement(ledger)
    (tmp_path / EVENTS_FILE).write_text(json.dumps(stated.events(), allow_nan=False))
    (tmp_path / CHECK_FILE).write_text(CHECK_SCRIPT)
    said = subprocess.run([sys.executable, tmp_path / CHECK_FILE], capture_output=True, text=True, check=True).stdout
    assert f"train participants: epsilon {stated.spent['train']:.4g} at delta 1e-05" in said
    assert "privacy" not in "".join(line for line in CHECK_SCRIPT.splitlines() if "import" in line)


def test_the_published_script_says_which_package_it_needs_where_it_is_not_there(tmp_path):
    (tmp_path / CHECK_FILE).write_text(CHECK_SCRIPT)
    (tmp_path / "dp_accounting.py").write_text("raise ImportError")
    ran = subprocess.run([sys.executable, tmp_path / CHECK_FILE], capture_output=True, text=True)
    assert ran.returncode == 1 and "Traceback" not in ran.stderr
    assert f"pip install dp-accounting=={version('dp-accounting')}" in ran.stderr


def test_nothing_is_stated_that_the_ledger_does_not_hold(ledger):
    more = PLAN.model_copy(update={"epsilon": 9.0})
    with pytest.raises(LedgerError, match="no such declaration"):
        statement(ledger, DeclaredPlan(plan=more, allocation=DECLARED.allocation))
    with pytest.raises(LedgerError, match="no such declaration"):
        statement(ledger, study="another")
