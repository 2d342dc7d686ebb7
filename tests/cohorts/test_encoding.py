import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import Encoding, Participants, Schema
from tests.cohorts.little_trial import SCHEMA
from tests.cohorts.test_cohort_files import random_cohort, schemas

LITTLE = Schema.model_validate(SCHEMA)


def test_features_run_over_measures_then_visits_and_hold_observed_cells_only():
    assert Encoding(LITTLE).feature_names == (
        "SBP V0",
        "SBP V1",
        "HB V0",
        "HB V1",
        "NYHA=I V0",
        "NYHA=II V0",
        "NYHA=III V0",
        "NYHA=I V1",
        "NYHA=II V1",
        "NYHA=III V1",
        "age",
        "sex",
    )
    assert Encoding(LITTLE).width == 12


def test_bounds_map_to_minus_one_and_one():
    values = np.array([[[60, 240], [3, 25], [0, 2], [18, np.nan], [0, np.nan]]], dtype=np.float32)
    assert Encoding(LITTLE).encode(values).tolist() == [[-1, 1, -1, 1, 1, -1, -1, -1, -1, 1, -1, -1]]


@settings(max_examples=40)
@given(schema=schemas(), seed=st.integers(0, 2**32 - 1))
def test_decoding_undoes_encoding(schema, seed):
    cohort = random_cohort(schema, [f"P{i}" for i in range(50)], seed)
    encoding = Encoding(schema)
    features = encoding.encode(cohort.values)
    assert features.dtype == np.float32
    assert features.shape == (50, encoding.width)
    assert np.abs(features).max() <= 1
    np.testing.assert_allclose(encoding.decode(features), cohort.values, rtol=1e-5, atol=1e-3)


@settings(max_examples=40)
@given(schema=schemas(), seed=st.integers(0, 2**32 - 1))
def test_positions_lead_back_to_the_values_or_to_none(schema, seed):
    cohort = random_cohort(schema, [f"P{i}" for i in range(50)], seed)
    encoding = Encoding(schema)
    back = encoding.at_positions(encoding.positions(cohort.values))
    np.testing.assert_allclose(back, cohort.values, rtol=1e-5, atol=1e-3)


@settings(max_examples=40)
@given(schema=schemas(), seed=st.integers(0, 2**32 - 1), wild=st.floats(allow_nan=True, allow_infinity=True, width=32))
def test_whatever_a_generator_says_decodes_to_values_that_a_measure_can_have(schema, seed, wild):
    encoding = Encoding(schema)
    features = np.random.default_rng(seed).normal(0, 2, (20, encoding.width)).astype(np.float32)
    features[::3] = wild
    values = encoding.decode(features)
    Participants(
        schema, np.arange(20).astype(str), np.zeros(20, dtype=np.int64), values
    )  # missing only where it may be
    if schema.visits.dropout:
        assert (values[:, -1, 0] >= schema.visits.surely_attended).all()
    for m, measure in enumerate(schema.all_measures):
        seen = values[:, m][~np.isnan(values[:, m])]
        assert (seen >= measure.lower).all()
        assert (seen <= measure.upper).all()
        if measure.kind != "continuous":
            assert (seen % 1 == 0).all()
