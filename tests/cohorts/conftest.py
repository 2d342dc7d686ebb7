"""What tests of mistakes share."""

from collections.abc import Iterator

import pytest

from cohorts import show_values


@pytest.fixture
def values_shown() -> Iterator[None]:
    """Errors quote what a file says."""
    show_values(True)
    yield
    show_values(False)
