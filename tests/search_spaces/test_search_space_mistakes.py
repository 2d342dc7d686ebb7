from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Domain, SearchSpaceError, load_search_space

DOMAINS = {
    "network": Domain("choice", choices=("compact", "paper")),
    "clip_norm": Domain("float", low=0, low_open=True),
    "noise_multiplier": Domain("float", low=0, gap=0.01),
    "sampling_rate": Domain("float", low=0, high=1, low_open=True),
    "depth": Domain("integer", low=1),
    "label_smoothing": Domain("float", low=0, high=0.5, high_open=True),
}

# (what the file says, the key at fault, words the message must hold)
MISTAKES = [
    ("noise_multiplyer: 1", "noise_multiplyer", "Did you mean 'noise_multiplier'?"),
    ("1: 2", "1", "no such hyperparameter"),
    ("noise_multiplier: {uniform: [3, 1]}", "noise_multiplier", "low 3 is above high 1"),
    ("depth: {integer: [3, 1]}", "depth", "low 3 is above high 1"),
    ("noise_multiplier: {log_uniform: [0, 1]}", "noise_multiplier", "cannot begin at 0"),
    ("noise_multiplier: {log_uniform: [-1, 1]}", "noise_multiplier", "-1 is below 0"),
    ("noise_multiplier: -0.5", "noise_multiplier", "-0.5 is below 0"),
    ("noise_multiplier: {uniform: [-1, 1]}", "noise_multiplier", "-1 is below 0"),
    ("noise_multiplier: {categorical: [1, -2]}", "noise_multiplier", "-2 is below 0"),
    ("noise_multiplier: 0.005", "noise_multiplier", "0.005 is above 0 and below 0.01"),
    ("noise_multiplier: {uniform: [0, 2]}", "noise_multiplier", "a range cannot begin at 0"),
    ("clip_norm: 0", "clip_norm", "0 is not above 0"),
    ("sampling_rate: {uniform: [0.1, 1.5]}", "sampling_rate", "1.5 is above 1"),
    (
        "label_smoothing: 0.5",
        "label_smoothing",
        "0.5 is not below 0.5. 'label_smoothing' takes a number of at least 0 and below 0.5",
    ),
    ("noise_multiplier: high", "noise_multiplier", "'high' is not a number"),
    ("noise_multiplier: true", "noise_multiplier", "True is not a number"),
    ("noise_multiplier: .nan", "noise_multiplier", "not a finite number"),
    ("noise_multiplier: {uniform: [1, .inf]}", "noise_multiplier", "not a finite number"),
    ("noise_multiplier:", "noise_multiplier", "None is not a number"),
    (
        "noise_multiplier: {integer: [1, 2]}",
        "noise_multiplier",
        "has no integer range. 'noise_multiplier' takes 0 or a number of at least 0.01",
    ),
    ("depth: {uniform: [1, 2]}", "depth", "has no uniform range. 'depth' takes a whole number of at least 1"),
    ("depth: {integer: [1, 2.5]}", "depth", "2.5 is not a whole number"),
    ("depth: {integer: [1, 4, 9]}", "depth", "needs [low, high]"),
    ("depth: {integer: 4}", "depth", "needs [low, high]"),
    ("depth: {integer: [1, 9], log: sure}", "depth", "true or false"),
    ("clip_norm: {uniform: [1, 9], log: true}", "clip_norm", "log_uniform"),
    ("depth: {categorical: []}", "depth", "list of values"),
    ("depth: {categorical: [2, 2]}", "depth", "is given twice"),
    ("depth: {unifrom: [1, 2]}", "depth", "Did you mean 'uniform'?"),
    ("depth: {integer: [1, 2], categorical: [1]}", "depth", "integer and categorical"),
    ("depth: {}", "depth", "no range and no value"),
    ("depth: [1, 2]", "depth", "[1, 2] is not a number"),
    ("network: resnet", "network", "not one of compact, paper"),
    ("network: {uniform: [0, 1]}", "network", "takes one of compact, paper"),
    ("network: compact\ndepth: {integer: [1, 2], when: {network: compact}}", "depth", "needs 'otherwise' too"),
    ("depth: {integer: [1, 2], otherwise: 1}", "depth", "needs 'when' too"),
    ("depth: {integer: [1, 2], when: compact, otherwise: 1}", "depth", "{hyperparameter: value}"),
    ("depth: {fixed: 2, when: {netwrok: compact}, otherwise: 1}", "depth", "Did you mean 'network'?"),
    ("depth: {fixed: 2, when: {network: paper}, otherwise: 1}", "depth", "is not in the file"),
    ("depth: {fixed: 2, when: {network: paper}, otherwise: 1}\nnetwork: paper", "depth", "is below"),
    ("depth: {fixed: 2, when: {depth: 2}, otherwise: 1}", "depth", "is this entry itself"),
    ("network: compact\ndepth: {fixed: 2, when: {network: paper}, otherwise: 1}", "depth", "which it never is"),
    ("network: compact\ndepth: {fixed: 2, when: {network: compact}, otherwise: 0}", "depth", "0 is below 1"),
]


def message_for(folder: Path, text: str) -> str:
    file = folder / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SearchSpaceError) as caught:
        load_search_space(file, DOMAINS)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value), "an error is one paragraph"
    return str(caught.value)


@pytest.mark.parametrize(("text", "key", "words"), MISTAKES)
def test_a_mistake_is_told_with_its_file_and_key(text, key, words, tmp_path):
    message = message_for(tmp_path, text)
    assert f"key '{key}'" in message
    assert words in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- depth", "holds a list"),
        ("depth", "holds a str"),
        ("depth: {integer: [1, 2", "not valid YAML: line 1"),
        ("depth: 1\nnetwork: compact\ndepth: 2\n", "line 3, column 1: the key 'depth' is given twice"),
        ("depth: 2020-13-45", "not valid YAML"),
        ("{[1, 2]: 3}", "not valid YAML"),
    ],
)
def test_an_unreadable_file_is_told(text, words, tmp_path):
    assert words in message_for(tmp_path, text)


def test_a_binary_file_is_told(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SearchSpaceError, match="not UTF-8 text"):
        load_search_space(file, DOMAINS)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SearchSpaceError, match=r"no search space file .*nowhere\.yaml"):
        load_search_space(tmp_path / "nowhere.yaml", DOMAINS)


def test_an_unknown_name_is_told_with_the_nearest_one():
    with pytest.raises(SearchSpaceError, match=r"named 'defualt'\. Did you mean 'default'\?"):
        load_search_space("defualt", DOMAINS)


@given(
    spec=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["uniform", "log_uniform", "integer", "categorical", "fixed", "log", "when", "otherwise"]
                )
                | st.integers(),
                inner,
                max_size=3,
            )
        ),
        max_leaves=6,
    )
)
@settings(max_examples=200)
def test_whatever_an_entry_says_it_is_understood_or_refused_in_words(spec, tmp_path_factory):
    file = tmp_path_factory.mktemp("space") / "mine.yaml"
    file.write_text(yaml.safe_dump({"network": "compact", "noise_multiplier": spec}), encoding="utf-8")
    try:
        load_search_space(file, DOMAINS)
    except SearchSpaceError as error:
        assert str(file) in str(error)
