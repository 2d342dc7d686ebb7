"""The notebook, run from its first cell to its last; kept without outputs."""

import json
from contextlib import chdir
from pathlib import Path

import pytest

from tests.tuner.commands import nobody_watches
from tuner import Study

CELLS = json.loads((Path(__file__).parents[2] / "docs" / "notebook.ipynb").read_text())["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_it_is_kept_without_outputs():
    assert CODE and all(not cell["outputs"] and cell["execution_count"] is None for cell in CODE)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # a whole study, on a machine that may be busy
def test_it_walks_from_a_cohort_to_an_interval_that_is_wider_than_that_of_a_single_copy(shared_ray, tmp_path):
    names: dict = {}
    run = Study.run
    with pytest.MonkeyPatch.context() as patch, shared_ray.let_in() as address, chdir(tmp_path):
        patch.setattr("tuner.study.dashboards", nobody_watches)
        patch.setattr(Study, "run", lambda study: run(study, address=address))
        for cell in CODE:
            code = "".join(cell["source"]).replace('study="notebook"', 'study="notebook", cpus_per_trial=0.5')
            exec(code, names)
    assert names["release"].manifest.study == "notebook"
    combined, (_, errors) = names["combined"], names["fits"][0]
    assert (combined["lower"] < combined["estimate"]).all() and (combined["noise"] > 0).all()
    assert (combined["standard_error"] > errors)["progressed"]
