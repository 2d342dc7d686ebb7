import math
from dataclasses import replace

from privacy.statements.unaccounted_search import UnaccountedSearch

SEARCH = UnaccountedSearch(
    study="first",
    cohort="small",
    ledger="small",
    public_cohort=False,
    policy="unaccounted",
    trials=32,
    chosen_trials=4,
    chosen_epochs=10,
    epsilon=7.13,
    winning_run_epsilon=3.48,
    all_trials_epsilon=11.2,
    other_studies=2,
    other_people=(),
    internal_before=0,
    redrawn=0,
    receipt="120:" + 64 * "a",
    delta=1e-5,
    shares=(0.75, 0.15, 0.10),
    nominal_size=400,
    noisy_picks=False,
    summary=None,
)


def test_the_first_sentence_says_that_the_search_is_not_covered():
    first = SEARCH.text().splitlines()[2]
    assert "7.13" in first
    assert "search" in first
    assert "NOT covered" in first


def test_it_states_what_all_trials_cost_and_names_the_ledger_and_other_studies():
    text = SEARCH.text()
    assert "| all 32 trials, whatever became of them | epsilon 11.20 |" in text
    assert SEARCH.receipt in text
    assert "2 other studies" in text
    assert "no other study" in replace(SEARCH, other_studies=0).text()


def test_a_release_without_noise_is_not_called_private():
    text = replace(SEARCH, epsilon=math.inf, winning_run_epsilon=math.inf).text()
    assert "not differentially private" in text.splitlines()[2]
    assert "no bound" in text


def test_it_says_how_epochs_were_picked():
    assert "those that each classifier scored best" in SEARCH.picking
    assert "Laplace, of scale 0.04 or a little more" in replace(SEARCH, noisy_picks=True).picking


def test_the_page_names_unit_neighbours_accountant_and_what_is_public():
    text = SEARCH.text()
    for phrase in ("one participant", "adding or removing", "dp-accounting", "taken as public", "`internal/`"):
        assert phrase in text
    assert len(text.split()) < 900


def test_the_first_sentence_is_not_followed_by_a_promise_that_nothing_keeps():
    text = SEARCH.text()
    assert "no later study of the same participants can state a finite epsilon for those who validated" in text
    assert "How long a step of training takes" in text
    assert "no later study" not in replace(SEARCH, public_cohort=True).text()
