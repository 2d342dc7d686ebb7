"""A study says loudly, before it begins, that many of those enrolled are left out."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from cohorts import Schema
from tests.conftest import SMALL_SCHEMA
from tuner.study import _announce


def announced(**said: Any) -> str:
    settings = SimpleNamespace(study="s", cohort="small.yaml", policy="p", trials=1, max_epochs=1)
    cohort = SimpleNamespace(schema=Schema.model_validate({**SMALL_SCHEMA, **said}))
    request: Any = SimpleNamespace(settings=settings, cohort=cohort, resumed=False)
    resources: Any = SimpleNamespace(cpus=1, gpus=0)
    text = io.StringIO()
    _announce(Console(file=text), request, resources, SimpleNamespace(lines=lambda: []))
    return text.getvalue()


@pytest.mark.parametrize(("share", "warned"), [(0.05, False), (0.4, True)])
def test_more_than_a_tenth_is_a_warning(share, warned):
    enrolled = round(SMALL_SCHEMA["nominal_size"] / (1 - share))
    assert ("WARNING: About" in announced(enrolled=enrolled)) == warned


def test_where_the_schema_does_not_say_how_many_nothing_is_counted():
    assert "WARNING" not in announced()
