"""Paragraphs that the statements of several policies share. None of them is true under one policy only."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    surest, found = surest_belief(epsilon), most_hits(epsilon, delta, FALSE_ALARMS)
    return (
        "Anyone who sees the release learns almost the same whether or not a given person took part. Someone who "
        f"thinks it as likely as not that this person did cannot become surer of it than {_short_of_certain(surest)}, "
        f"whatever they compute from the release. A test that falsely suspects {FALSE_ALARMS:.0%} of those who did not "
        f"take part finds at most {_short_of_certain(found)} of those who did. The first figure holds apart from delta "
        f"({delta:g}), the probability that the guarantee leaves out; the second includes it. A group of people who "
        "only took part together, such as a family, or one person who enrolled twice, is protected less: "
        f"{of_two(epsilon, delta)}"
    )


def of_two(epsilon: float, delta: float) -> str:
    """How two people are protected together.

    Source: Dwork & Roth, "The Algorithmic Foundations of Differential Privacy", 2014, theorem 2.2, and its proof for a
    delta above 0: delta of two is (1 + e^epsilon) delta.
    """
    together = (1 + math.exp(min(epsilon, 700.0))) * delta
    if together >= 1:
        return "for two of them nothing can be said."
    return (
        f"for two of them the same holds with epsilon {2 * epsilon:g} and delta {significant_up(together)}, for more "
        "with larger figures still."
    )


def _short_of_certain(share: float) -> str:
    """A percentage, rounded up, with as many decimals as it takes not to read 100 %."""
    texts = (f"{decimals_up(100 * share, decimals)}%" for decimals in range(1, 10))
    return next((text for text in texts if not text.startswith("100.")), "100%")


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


def surest_belief(epsilon: float) -> float:
    """Largest posterior probability from even odds."""
    return 1 / (1 + math.exp(-epsilon))


def most_hits(epsilon: float, delta: float, false_alarms: float) -> float:
    """Largest true positive rate of any test with this false positive rate."""
    missed = math.exp(-epsilon) * (1 - delta - false_alarms)
    return min(1.0, math.exp(min(epsilon, 700.0)) * false_alarms + delta, 1 - missed)


def public_assumptions(nominal_size: int) -> str:
    """What is not protected because it is known anyway."""
    return (
        "## What is taken as public\n\n"
        "The schema: names, units, ranges and categories of all measures, the visits, the shares of the label's "
        f"classes, and the nominal number of complete participants ({nominal_size}). They were written down by a "
        "person, not computed from the files. The search space and the plan were fixed before this study read any "
        "participant. That a given person took part in the trial is protected."
    )


def recomputing() -> str:
    """How a reader can check the figures."""
    return (
        f"`{EVENTS_FILE}` lists every charged event: sampling rates, noise multipliers, numbers of steps and prices, "
        f"which are public numbers. `python {CHECK_FILE}` computes epsilon from them with dp-accounting alone."
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


def reach() -> str:
    """What no statement of ours covers."""
    return (
        "- Anyone who sees `internal/`, which holds figures of real participants for the data steward, or what the "
        "terminal showed of them, or acts on either.\n"
        "- Rounded counts that `python -m cohorts` prints when the files are checked, and visits of which it says that "
        "no row is there.\n"
        "- Times of day and durations, which the study's other files hold (`trials/`, `shortlist/`, `study.db`, logs). "
        "How long a step takes depends a little on how many participants are in its batch; so does the order in which "
        "results arrive, on which early stopping depends.\n"
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
