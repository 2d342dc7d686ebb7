from dataclasses import replace

import numpy as np
import pytest

from analysis import AnalysisError
from analysis.ensemble import ensemble, generate, generate_alike, random_stream
from analysis.epochs import scored_epochs
from cohorts import resolve_schema


@pytest.fixture
def epochs(study):
    return scored_epochs(study, study.settings(), resolve_schema(study.settings().cohort))


def generate_ensemble(epochs, participants, schema, randomness):
    whole = generate_alike(epochs, participants, schema, randomness)
    return ensemble([whole[each.key] for each in epochs], schema, randomness)


@pytest.fixture
def schema(study):
    return resolve_schema(study.settings().cohort)


def test_the_ensemble_has_as_many_participants_as_asked_for(epochs, schema):
    together = generate_ensemble(epochs[:3], 100, schema, random_stream(None))
    assert len(together) == 100
    assert together.ids[0] == "S000001"
    assert len(set(together.ids)) == 100
    assert together.schema == schema


def test_every_pick_gives_an_equal_share(epochs, schema, monkeypatch):
    def marked(epoch, participants, *rest):
        drawn = generate(epoch, participants, *rest)
        return replace(drawn, values=np.where(np.isnan(drawn.values), np.nan, epoch.epoch).astype(np.float32))

    monkeypatch.setattr("analysis.ensemble.generate", marked)
    first, other = epochs[0], next(each for each in epochs if each.epoch != epochs[0].epoch)
    together = generate_ensemble([first, other, first], 100, schema, random_stream(None))
    marks = together.values[:, 0, 0]
    assert ((marks == first.epoch).sum(), (marks == other.epoch).sum()) == (67, 33)
    assert not (np.sort(marks) == marks).all()  # shuffled


def test_every_pick_draws_from_the_same_random_numbers(epochs, schema, monkeypatch):
    seeds = []

    def noted(epoch, participants, schema, randomness):
        seeds.append((participants, randomness.initial_seed()))
        return generate(epoch, participants, schema, randomness)

    monkeypatch.setattr("analysis.ensemble.generate", noted)
    generate_ensemble(epochs[:3], 100, schema, random_stream(None))
    assert len(seeds) == 3 and set(seeds) == {(100, seeds[0][1])}


def test_a_seed_repeats_the_participants_and_none_does_not(epochs, schema):
    def values(seed):
        return generate_ensemble(epochs[:2], 50, schema, random_stream(seed)).values.tobytes()

    assert values(5) == values(5)
    assert values(None) != values(None)


def test_a_damaged_generator_is_named(epochs, schema, study):
    file = study.path / epochs[0].checkpoint.path / "generator.pt"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(AnalysisError, match=rf"trial {epochs[0].trial_id}, epoch 1, cannot be read"):
        generate(epochs[0], 10, schema, random_stream(None))


def test_a_schema_changed_since_the_study_is_refused(epochs, schema):
    changed = schema.model_copy(update={"nominal_size": 500})
    with pytest.raises(AnalysisError, match="not the one that the study was run with"):
        generate(epochs[0], 10, changed, random_stream(None))
