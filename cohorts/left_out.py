"""Who is not in a cohort, in words for the data steward and for readers of a release: from public numbers alone."""

from __future__ import annotations

from cohorts.checking import MANY_INCOMPLETE
from cohorts.labels.outcome_label import OutcomeLabel
from cohorts.schema import Schema


def left_out(schema: Schema) -> str | None:
    """Who is left out for want of a value, in a sentence or two; None where nobody can be.

    No file is read for it: how many they are is said where the schema has the public number of those `enrolled`.
    """
    needed = [*(each.name for each in schema.recorded if each.missing == "drop")]
    needed += [schema.label.name] if isinstance(schema.label, OutcomeLabel) else []
    if not needed:
        return None
    lacking = f"whoever lacked a value of {', '.join(needed)} where one was expected{_attended(schema)} is left out"
    if schema.enrolled is None:
        return f"Complete participants only: {lacking}. How many they are is not said."
    gone = schema.enrolled - schema.nominal_size
    if not gone:
        return f"Complete participants only: {lacking}. By the public numbers that is nobody."
    return (
        f"About {gone:,} of {schema.enrolled:,} enrolled participants ({gone / schema.enrolled:.0%}) are not "
        f"described: {lacking}. Those who remain may differ from them."
    )


def _attended(schema: Schema) -> str:
    """At which visits a value was expected, where that is not all of them."""
    until = ["up to the last visit attended"] if schema.visits.dropout else []
    until += ["at visits that were not missed"] if schema.visits.may_be_missed else []
    return f", {' and '.join(until)}," if until else ""


def many_left_out(schema: Schema) -> bool:
    """Whether more than a tenth of those enrolled are left out, as far as the schema says."""
    return schema.enrolled is not None and schema.enrolled - schema.nominal_size > MANY_INCOMPLETE * schema.enrolled
