import numpy as np

from benchmarks.peers.release import columns_of, participants_of, table_of
from cohorts import load_participants


def test_participants_come_back_from_a_peers_table_as_they_were():
    real, _ = load_participants("actg175")
    table = table_of(real, columns_of(real.schema))
    back = participants_of(table, real.schema)
    assert table.stack().between(0, 1).all()
    assert np.array_equal(back.values, real.values, equal_nan=True)
    assert (back.labels == real.labels).all()


def test_what_a_peer_makes_up_is_brought_within_the_schema():
    real, _ = load_participants("actg175")
    columns = columns_of(real.schema)
    wild = table_of(real.take(np.arange(50)), columns) * 10 - 4
    values = participants_of(wild, real.schema).values
    for number, measure in enumerate(real.schema.all_measures):
        seen = values[:, number, real.schema.observed[number]]
        assert measure.lower <= seen.min() and seen.max() <= measure.upper
        assert measure.kind == "continuous" or (seen % 1 == 0).all()
