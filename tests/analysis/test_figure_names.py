"""Every measure's figure has a file of its own."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.release import figure_names


@given(measures=st.lists(st.text("aA%#- 2", min_size=1, max_size=4), unique=True, max_size=8))
def test_no_figure_replaces_another(measures):
    names = figure_names(measures, "synthetic")
    assert list(names) == measures
    assert len({name.casefold() for name in names.values()}) == len(measures)


def test_names_that_differ_in_letters_are_only_the_measures_names():
    assert figure_names(["SBP", "CD4 count"], "internal") == {
        "SBP": "medians-SBP-internal.png",
        "CD4 count": "medians-CD4-count-internal.png",
    }
