from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.release import columns_of, participants_of, require_able, table_of
from cohorts import load_participants
from tests.cohorts.lossy_trial import with_missed_visits

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    "cohort",
    [
        "actg175",
        *(f"{EXAMPLES}/{name}.yaml" for name in ("muscatine/muscatine", "colon/colon", "colon/colon-recurrence")),
    ],
    ids=["complete", "with missing values", "three arms", "times to an event"],
)
def test_participants_come_back_from_a_peers_table_as_they_were(cohort):
    real, _ = load_participants(cohort)
    columns = columns_of(real.schema)
    table = table_of(real, columns)
    back = participants_of(table, real.schema)
    for column in columns:
        assert (table[column.name] >= 0).all()
        assert (table[column.name] > 1).any() <= column.may_be_missing
    assert np.array_equal(back.values, real.values, equal_nan=True)
    assert (back.labels == real.labels).all()


def test_whoever_missed_a_visit_comes_back_and_nobody_made_up_has_half_of_one():
    real = with_missed_visits(200)
    columns = columns_of(real.schema)
    back = participants_of(table_of(real, columns), real.schema)
    assert np.array_equal(back.values, real.values, equal_nan=True)
    lacking = np.random.default_rng(0).random((200, len(columns))) < 0.2
    torn = table_of(real, columns).mask(lacking & [column.may_be_missing for column in columns], 1.5)
    made = participants_of(torn, real.schema)  # refuses values that are missing where they may not be
    assert np.isfinite(made.values[made.values[:, real.schema.presence_row, 1] == 1, 1, 1]).all()


def test_what_a_peer_makes_up_is_brought_within_the_schema():
    real, _ = load_participants("actg175")
    columns = columns_of(real.schema)
    wild = table_of(real.take(np.arange(50)), columns) * 10 - 4
    values = participants_of(wild, real.schema).values
    for number, measure in enumerate(real.schema.all_measures):
        seen = values[:, number, real.schema.observed[number]]
        assert measure.lower <= seen.min() and seen.max() <= measure.upper
        assert measure.kind == "continuous" or (seen % 1 == 0).all()


def test_a_peer_that_knows_no_missing_values_is_not_asked_for_any():
    real, _ = load_participants(f"{EXAMPLES}/muscatine/muscatine.yaml")
    require_able("mst", real.schema)
    with pytest.raises(SystemExit, match="PATE-CTGAN is asked for complete cohorts only"):
        require_able("patectgan", real.schema)
