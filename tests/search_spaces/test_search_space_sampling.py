import pickle
from pathlib import Path
from typing import Any

import optuna
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Domain, SearchSpace, load_search_space

optuna.logging.set_verbosity(optuna.logging.WARNING)

DOMAINS = {
    "network": Domain("choice", choices=("compact", "paper")),
    "rate": Domain("float", low=0, high=1, low_open=True),
    "noise": Domain("float", low=0),
    "steps": Domain("integer", low=1),
    "smoothing": Domain("float", low=0, high=0.5, high_open=True),
}
LEGAL: dict[str, st.SearchStrategy[Any]] = {
    "network": st.sampled_from(["compact", "paper"]),
    "rate": st.floats(1e-9, 1),
    "noise": st.floats(0, 1e6) | st.integers(0, 100),
    "steps": st.integers(1, 10_000),
    "smoothing": st.floats(0, 0.4999),
}


@st.composite
def searched(draw: st.DrawFn, name: str) -> Any:
    """An entry of any kind that suits the hyperparameter."""
    values = LEGAL[name]
    kinds = ["value", "fixed", "categorical"] + ["range"] * (name != "network")
    kind = draw(st.sampled_from(kinds))
    if kind == "value":
        return draw(values)
    if kind == "fixed":
        return {"fixed": draw(values)}
    if kind == "categorical":
        return {"categorical": draw(st.lists(values, min_size=1, max_size=4, unique=True))}
    low, high = sorted([draw(values), draw(values)])
    log = low > 0 and draw(st.booleans())
    if name == "steps":
        return {"integer": [low, high], **({"log": True} if log else {})}
    return {"log_uniform" if log else "uniform": [low, high]}


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """What a valid search space file says, some entries conditional on the network."""
    spec: dict[str, Any] = {"network": {"categorical": ["compact", "paper"]}}
    for name in draw(st.lists(st.sampled_from(list(DOMAINS)[1:]), unique=True)):
        entry = draw(searched(name))
        if isinstance(entry, dict) and draw(st.booleans()):
            entry |= {"when": {"network": draw(LEGAL["network"])}, "otherwise": draw(LEGAL[name])}
        spec[name] = entry
    return spec


def loaded(folder: Path, text: str) -> SearchSpace:
    file = folder / "space.yaml"
    file.write_text(text)
    return load_search_space(file, DOMAINS)


@given(spec=spaces())
@settings(max_examples=100)
def test_a_space_written_out_and_loaded_again_is_the_same(spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("space")
    space = loaded(folder, yaml.safe_dump(spec, sort_keys=False))
    assert loaded(folder, space.to_yaml()) == space
    assert pickle.loads(pickle.dumps(space)) == space
    assert space.hyperparameters == tuple(spec)


@given(spec=spaces(), seed=st.integers(0, 2**31))
@settings(max_examples=100)
def test_every_draw_lies_in_its_range(spec, seed, tmp_path_factory):
    space = loaded(tmp_path_factory.mktemp("space"), yaml.safe_dump(spec, sort_keys=False))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(5):
        drawn = space(study.ask())
        assert tuple(drawn) == space.hyperparameters
        for name, value in drawn.items():
            assert DOMAINS[name].problem(value) is None
            assert allowed(spec[name], value, drawn), f"{name}: {value} is not in {spec[name]}"
            assert name == "network" or (space.least(name) or 0) <= value <= (space.greatest(name) or 0)


def allowed(entry: Any, value: Any, drawn: dict[str, Any]) -> bool:
    if not isinstance(entry, dict):
        return value == entry
    if "when" in entry and any(drawn[other] != wanted for other, wanted in entry["when"].items()):
        return value == entry["otherwise"]
    if "fixed" in entry:
        return value == entry["fixed"]
    if "categorical" in entry:
        return value in entry["categorical"]
    low, high = next(entry[kind] for kind in ("uniform", "log_uniform", "integer") if kind in entry)
    return low <= value <= high


def test_a_conditional_entry_is_searched_only_where_its_condition_holds(tmp_path):
    space = loaded(
        tmp_path,
        """
        network: {categorical: [compact, paper]}
        steps: {integer: [2, 9], when: {network: compact}, otherwise: 1}
        """,
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        drawn = space(trial)
        assert ("steps" in trial.params) == (drawn["network"] == "compact")
        assert (drawn["steps"] == 1) == (drawn["network"] == "paper")


def test_a_number_may_be_written_1e_minus_3(tmp_path):
    space = loaded(tmp_path, "rate: {log_uniform: [1e-3, 5E-1]}")
    assert space.entries[0][1].spec() == {"log_uniform": [0.001, 0.5]}


def test_listed_values_of_a_hyperparameter_can_be_asked_for(tmp_path):
    space = loaded(tmp_path, "network: {categorical: [compact, paper]}\nrate: {uniform: [0.1, 1]}")
    assert space.values("network") == ("compact", "paper")
    assert space.values("rate") == space.values("steps") == ()
