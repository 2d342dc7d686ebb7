"""Paragraphs that the statements of several policies share. None of them is true under one policy only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from privacy.mechanisms.mechanism import Kind

FALSE_ALARMS = 0.01
ROUNDING = 1e-12  # what arithmetic in double precision may have added to a number that needs no rounding

IN_WORDS: dict[Kind, str] = {
    "training": "training by DP-SGD",
    "scores": "scores of an epoch",
    "measurement": "noisy measurement",
    "private selection": "whole search",
    "internal": "looked at by the data steward",
}
"""What a charge was for."""

EVENTS_FILE, CHECK_FILE = "privacy_events.json", "check_epsilon.py"

STEP_TIMES = "How long a step of training takes, which depends a little on how many participants are in its batch."
STEP_TIMES_AND_ORDER = (
    f"{STEP_TIMES} So does the order in which results arrive, on which it depends which trials are stopped early."
)
"""What time tells where participants train, as items of what a statement does not cover."""

CHANCES = (0.01, 0.1, 0.5)
"""That somebody gives a statement about a person beforehand."""


def unit_of_protection(public_cohort: bool) -> str:
    """Who is protected."""
    kept = (
        "The schema marks this cohort as public, so nobody's privacy is at stake in this release."
        if public_cohort
        else "Random numbers that hide participants came from the operating system and were not stored."
    )
    return (
        "The unit of protection is one participant with all of their visits. The neighbouring relation is adding or "
        f"removing one participant. {kept}"
    )


def plain_odds(epsilon: float, delta: float) -> str:
    """What (epsilon, delta) means for one person, without Greek letters.

    Source: Kasiviswanathan & Smith, "On the 'Semantics' of Differential Privacy", 2014 (posterior odds); Kairouz, Oh &
    Viswanath, "The Composition Theorem for Differential Privacy", 2015, theorem 2.1 (hits by false alarms).
    """
    found = most_hits(epsilon, delta, FALSE_ALARMS)
    return (
        f"Any result of the study is at most about {_factor_up(epsilon)} times as likely if a given person took part "
        f"as if they did not, and the other way round. So whoever gave it a chance of {_chances(CHANCES)} beforehand "
        f"that this person took part gives it at most {_chances(surest_belief(epsilon, each) for each in CHANCES)} "
        "afterwards, whatever they compute from the release. A test that falsely suspects "
        f"{FALSE_ALARMS:.0%} of those who did not take part finds at most {_short_of_certain(found)} of those who did. "
        f"The chances hold apart from delta ({delta:g}), the probability that the guarantee leaves out; the figure for "
        "the test includes it. A group of people who only took part together, such as a family, or one person who "
        f"enrolled twice, is protected less: {of_two(epsilon, delta)}\n\n{already_known(epsilon, delta)}"
    )


def already_known(epsilon: float, delta: float) -> str:
    """What the release tells of a person's values to somebody who knows that they took part.

    To have another value is to leave and to join with it, so epsilon and delta are those of two people.
    """
    beginning = (
        "**Someone who already knows that a given person took part**, and asks what is in their record, is held back "
        "less, whatever else they know"
    )
    if delta_of_two(epsilon, delta) >= 1:
        return f"{beginning}: as for two people, nothing can be said."
    return (
        f"{beginning}: as for two people, epsilon is {2 * epsilon:g} and delta "
        f"{significant_up(delta_of_two(epsilon, delta))}. Apart from this delta, the odds between two values move by a "
        f"factor of at most about {_factor_up(2 * epsilon)}: whoever gave one of them a chance of {_chances(CHANCES)} "
        f"beforehand gives it at most {_chances(surest_belief(2 * epsilon, each) for each in CHANCES)} afterwards."
    )


def of_two(epsilon: float, delta: float) -> str:
    """How two people are protected together."""
    together = delta_of_two(epsilon, delta)
    if together >= 1:
        return "for two of them nothing can be said."
    return (
        f"for two of them the same holds with epsilon {2 * epsilon:g} and delta {significant_up(together)}, for more "
        "with larger figures still."
    )


def delta_of_two(epsilon: float, delta: float) -> float:
    """Delta of two people together, beside twice epsilon.

    Source: Dwork & Roth, "The Algorithmic Foundations of Differential Privacy", 2014, theorem 2.2, and its proof for a
    delta above 0: delta of two is (1 + e^epsilon) delta.
    """
    return (1 + math.exp(min(epsilon, 700.0))) * delta


def _factor_up(epsilon: float) -> str:
    """By how much odds may move, rounded up to three digits."""
    factor = significant_up(math.exp(min(epsilon, 700.0)), 3)
    return f"{float(factor):,.0f}" if 1e3 <= float(factor) < 1e9 else factor


def _chances(shares: Iterable[float]) -> str:
    *others, last = (_short_of_certain(share) for share in shares)
    return f"{', '.join(others)} or {last}"


def _short_of_certain(share: float) -> str:
    """A percentage, rounded up, with as many decimals as it takes not to read 100 %."""
    texts = (f"{decimals_up(100 * share, decimals).removesuffix('.0')}%" for decimals in range(1, 10))
    return next((text for text in texts if not text.startswith("100")), "100%")


def decimals_up(number: float, decimals: int) -> str:
    """A number with so many decimals and never less than it is: for what is said to be a bound.

    Example:
        >>> decimals_up(1.4661, 3), decimals_up(1.466, 3), decimals_up(math.inf, 3)
        ('1.467', '1.466', 'inf')
    """
    if math.isinf(number):
        return f"{number}"
    return f"{math.ceil(number * 10**decimals * (1 - ROUNDING)) / 10**decimals:.{decimals}f}"


def significant_up(number: float, digits: int = 2) -> str:
    """Likewise with so many significant digits.

    Example:
        >>> significant_up(0.000210855), significant_up(0.0003), significant_up(0.0)
        ('0.00022', '0.0003', '0')
    """
    if number == 0 or math.isinf(number):
        return f"{number:g}"
    unit = 10.0 ** (math.floor(math.log10(number)) - digits + 1)
    return f"{math.ceil(number / unit * (1 - ROUNDING)) * unit:.{digits}g}"


def surest_belief(epsilon: float, beforehand: float = 0.5) -> float:
    """Largest posterior probability from a probability beforehand."""
    return beforehand / (beforehand + (1 - beforehand) * math.exp(-epsilon))


def most_hits(epsilon: float, delta: float, false_alarms: float) -> float:
    """Largest true positive rate of any test with this false positive rate."""
    missed = math.exp(-epsilon) * (1 - delta - false_alarms)
    return min(1.0, math.exp(min(epsilon, 700.0)) * false_alarms + delta, 1 - missed)


def public_assumptions(nominal_size: int, public_cohort: bool) -> str:
    """What is not protected because it is known anyway."""
    secret = "" if public_cohort else " That a given person took part in the trial is not taken as public."
    return (
        "## What is taken as public\n\n"
        "The schema: names, units, ranges and categories of all measures, the visits, the shares of the label's "
        f"classes, and the nominal number of complete participants ({nominal_size}). They were written down by a "
        "person, not computed from the files. The search space and the plan were fixed before this study read any "
        f"participant.{secret}"
    )


def recomputing() -> str:
    """How a reader can check the figures."""
    return (
        f"`{EVENTS_FILE}` lists every charge: its kind, how much noise it had or what price, and how often it was "
        f"made. These are public numbers, from which `python {CHECK_FILE}` computes epsilon with dp-accounting alone."
    )


def ledger_records(ledger: str, other_studies: int, other_people: Sequence[str], left_out: int, covered: str) -> str:
    """What else the ledger knows.

    Args:
        ledger: which one, in words that tell it from any other.
        other_studies: whose charges it holds.
        other_people: cohorts whose participants are others, as the data steward said.
        left_out: charges that a public cohort's study did not count.
        covered: what the other studies' charges are to this statement, as the end of a sentence.
    """
    if left_out:
        charges = "1 earlier charge" if left_out == 1 else f"{left_out} earlier charges"
        records = f"The cohort is public, and what the ledger of {ledger} already held ({charges}) was left out."
    elif not other_studies:
        records = f"The ledger of {ledger} records no other study of these participants."
    else:
        others = "1 other study" if other_studies == 1 else f"{other_studies} other studies"
        records = f"The ledger of {ledger} also records {others} of these participants, {covered}."
    if not other_people:
        return records
    return (
        f"{records} The data steward declared that identifiers which the ledgers of {', '.join(other_people)} may also "
        "know belong to other people there."
    )


def draws_and_looks(internal_before: int, redrawn: int) -> str:
    """Whether real figures were seen, or a release was drawn, before this one."""
    times = "once" if internal_before == 1 else f"{internal_before} times"
    looked = (
        f"Before this release was drawn, figures of real participants were opened for the data steward {times}; "
        "choices based on those figures are not covered."
        if internal_before
        else "Before this release was drawn, no figures of real participants were opened for the data steward."
    )
    if not redrawn:
        return looked
    before = "one release" if redrawn == 1 else f"{redrawn} releases"
    return (
        f"{looked} **This study drew {before} before this one from the same epochs.** Anyone who chose between them by "
        "real figures made a choice that is not covered."
    )


def later_studies(public_cohort: bool) -> str:
    """What becomes of this release's epsilon in a later study, as an item of what is not covered."""
    if public_cohort:
        return "Later studies of the same participants: the cohort is public, so each begins afresh."
    return (
        "Later studies of the same participants: what is spent on a person adds up. A later study must declare a "
        "larger epsilon than this one, and its statement then covers this release as well."
    )


def reach(folders: str = "`trials/`") -> str:
    """What no statement of ours covers.

    Args:
        folders: of the study, beside its other files, that hold times.
    """
    return (
        "- Anyone who sees `internal/`, which holds figures of real participants for the data steward, or what the "
        "terminal showed of them, or acts on either.\n"
        "- Rounded counts and hints that `python -m cohorts` prints when the files are checked, and visits of which it "
        "says that no row is there.\n"
        f"- Times of day and durations, which the study's other files hold ({folders}, `study.db`, logs).\n"
        "- The choice of a later epsilon: it counts as chosen without regard to this study's results.\n"
        "- What a study is refused for before anything is charged: fewer than 50 participants, none of a class that "
        "the schema names, values that the schema does not allow (outside their limits, where it does not say what "
        "becomes of those, or of no category that it names), identifiers that another ledger knows, and any other "
        "fault of the files, such as a row that is there twice or a visit that nobody has. One person may decide each, "
        "so a schema that was changed after a refusal may tell of one. Where a class is so rare that it "
        "may hang on one person, name fewer classes.\n"
        "- Participants who were left out because a value was missing were read for that alone and had no part in the "
        "release; that a person is among them is not hidden from anyone who sees counts.\n"
        "- Any other study or publication of the same people that is not in the ledger.\n"
        "- What can be learned about a person from the trial's result without their having taken part."
    )
