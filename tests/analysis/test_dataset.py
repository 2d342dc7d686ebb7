"""What stands beside released tables, read by those whom it is for: pandas, R, SDV and Croissant's own validator."""

import io
import re
import shutil
import subprocess
from contextlib import chdir
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.dataset.combining import combining_lines
from analysis.dataset.describe import describe, licence_section
from analysis.dataset.dictionary import dictionary, table_section
from analysis.dataset.reading import in_python, reading_lines
from analysis.dataset.sums import write_sums
from analysis.release import released_schema
from cohorts import Participants, Schema, write_cohort
from cohorts.writer import write_copies
from tests.cohorts.little_trial import schema_mapping
from tests.cohorts.outcome_trials import NUMERIC, SURVIVAL, survival_cohort, trial
from tests.cohorts.parameter_trial import adam_mapping
from tests.conftest import SMALL_SCHEMA, small_cohort


class Statement(SimpleNamespace):
    """As much of a privacy statement as a data set's description says."""


STATEMENT = Statement(cohort="small", first_line="Epsilon 3 (delta 1e-05) covers everything.")
PUBLISHED = {
    "title": "Small trial, synthetic copy",
    "creator": "A hospital",
    "licence": "CC-BY-4.0",
    "citation": "A hospital. Small trial, synthetic copy. 2026.",
    "url": "https://example.org/small",
    "published": "2026-05-01",
    "version": "1.0.0",
}


def two_tables(**changes):
    """The little trial's people and visits, with text in categories that some readers take for a missing value."""
    mapping = schema_mapping() | changes
    mapping["covariates"][1]["categories"] = ["NA", "None"]
    return of_mapping(mapping)


def of_mapping(mapping):
    """Ninety participants of a schema, of any values that it allows."""
    schema = Schema.model_validate(mapping)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(schema.label.classes), 90)
    limits = np.array([(measure.lower, measure.upper) for measure in schema.all_measures])
    values = np.rint(rng.uniform(limits[:, 0], limits[:, 1], (90, 2, len(limits)))).swapaxes(1, 2)
    values[:, ~schema.observed] = np.nan
    return Participants(schema, np.array([f"P{n}" for n in range(90)]), labels, values.astype(np.float32))


def data_set(people, folder):
    """Synthetic participants as a release has them, with what describes them; returns their schema."""
    schema = released_schema(people.schema, "synthetic")
    write_cohort(replace(people, schema=schema), folder)
    describe(folder, schema, STATEMENT, "first", len(people))
    return schema


@pytest.fixture(params=["one table", "two tables", "semicolons and commas", "published", "a time to an event"])
def described(request, tmp_path):
    """A data set of each kind, and its schema."""
    people = {
        "one table": lambda: small_cohort(Schema.model_validate(SMALL_SCHEMA), 90),
        "two tables": two_tables,
        "semicolons and commas": lambda: two_tables(format={"separator": ";", "encoding": "latin-1"}),
        "published": lambda: small_cohort(Schema.model_validate({**SMALL_SCHEMA, "publication": PUBLISHED}), 90),
        "a time to an event": lambda: survival_cohort(90, Schema.model_validate(trial(SURVIVAL))),
    }[request.param]()
    return tmp_path, data_set(people, tmp_path)


def test_the_dictionary_has_every_column_of_every_file_with_its_unit(described):
    folder, schema = described
    lines = pd.read_csv(folder / "data_dictionary.csv", keep_default_na=False)
    for table in schema.tables:
        of_table = lines[lines["table"] == table]
        assert list(dict.fromkeys(of_table["column"])) == list(
            pd.read_parquet(folder / f"{schema.stem(table)}.parquet").columns
        )
    units = dict(zip(lines["column"], lines["unit"], strict=True))
    assert units.get("pressure", units.get("sbp")) == "mmHg"


def test_descriptions_of_measures_covariates_and_the_label_reach_the_dictionary_and_the_datasheet():
    said = {"arm": "as randomised", "pressure": "sitting, mean of three", "age": "at randomisation"}
    mapping = {
        **SMALL_SCHEMA,
        "covariates": [{"name": "age", "kind": "integer", "lower": 18, "upper": 90, "column": "age"}],
    }
    mapping["label"] = {**mapping["label"], "description": said["arm"]}
    for key in ("measures", "covariates"):
        mapping[key] = [{**each, "description": said.get(each["name"], "")} for each in mapping[key]]
    schema = Schema.model_validate(mapping)
    meanings = set(dictionary(schema)["meaning"])
    assert {"pressure: sitting, mean of three", "age: at randomisation"} <= meanings
    assert f"{schema.label.name}: as randomised" in meanings
    section = table_section(schema, next(iter(schema.tables)))
    assert all(each in section for each in said.values())


def test_the_dictionary_says_which_cells_may_be_empty_and_within_which_limits(tmp_path):
    mapping = {**SMALL_SCHEMA, "visits": {**SMALL_SCHEMA["visits"], "dropout": {"from": "week 0"}}}
    dose = {**SMALL_SCHEMA["measures"][1], "missing": "allowed"}
    lines = dictionary(Schema.model_validate({**mapping, "measures": [SMALL_SCHEMA["measures"][0], dose]}))
    said = lines.set_index("column")
    assert said.loc["dose", "may_be_empty"] == "yes" and said.loc["pressure", "may_be_empty"] == "no"
    assert tuple(said.loc["dose", ["lower", "upper", "decimals"]]) == (0, 10, 1)
    assert said.loc["arm", "values"] == "0 = control, 1 = treated"
    assert said.loc["visit", "values"] == "week 0 < week 4 < week 8"
    for away in ("dropout", "missed"):  # who attends no visit has one row
        leaving = {**mapping, "visits": {**SMALL_SCHEMA["visits"], away: True}}
        both = dictionary(Schema.model_validate(leaving)).query("column in ['dose', 'pressure']")
        assert set(both["may_be_empty"]) == {"yes"}


def test_a_row_per_parameter_has_a_line_of_the_dictionary_for_each():
    lines = dictionary(Schema.model_validate(adam_mapping()))
    assert list(lines[lines["parameter"] != ""]["parameter"]) == ["SYSBP", "HGB", "NYHACL"]


def test_the_lines_for_pandas_read_what_was_written(described):
    folder, schema = described
    read = {}
    with chdir(folder):
        exec("\n".join(in_python(schema)), read)
    for table in schema.tables:
        same = pd.read_parquet(folder / f"{schema.stem(table)}.parquet")
        pd.testing.assert_frame_equal(read[table], same, check_dtype=False, rtol=1e-6)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (Debian: r-base-core)")
def test_the_lines_for_r_read_what_was_written(described):
    folder, schema = described
    lines = reading_lines(schema).partition("```r\n")[2].partition("```")[0]
    shown = "".join(f'write.csv({table}, stdout(), row.names = FALSE, na = "")\n' for table in schema.tables)
    said = subprocess.run(
        ["Rscript", "--vanilla", "-e", lines + shown], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    for table in schema.tables:
        same = pd.read_parquet(folder / f"{schema.stem(table)}.parquet")
        text, said = said.splitlines(keepends=True)[: len(same) + 1], "".join(said.splitlines(True)[len(same) + 1 :])
        by_r = pd.read_csv(io.StringIO("".join(text)), keep_default_na=False, na_values=[""])
        pd.testing.assert_frame_equal(by_r, same, check_dtype=False, rtol=1e-6)


@pytest.fixture(
    params=["one table", "two tables", "semicolons", "by parameter", "a number", "a time to an event", "no label"]
)
def copied(request, tmp_path):
    """Ten copies of a trial of each kind as a release has them, and their schema."""
    people = {
        "one table": lambda: small_cohort(Schema.model_validate(SMALL_SCHEMA), 90),
        "two tables": two_tables,
        "semicolons": lambda: two_tables(format={"separator": ";", "encoding": "latin-1"}),
        "by parameter": lambda: of_mapping(adam_mapping()),
        "a number": lambda: of_mapping(trial(NUMERIC)),
        "a time to an event": lambda: survival_cohort(90, Schema.model_validate(trial(SURVIVAL))),
        "no label": lambda: of_mapping(schema_mapping() | {"label": {"kind": "none", "table": "people"}}),
    }[request.param]()
    schema, rng = released_schema(people.schema, "synthetic"), np.random.default_rng(0)
    write_copies(
        [replace(people.take(rng.integers(0, 90, 90)), schema=schema, ids=people.ids) for _ in range(10)], tmp_path
    )
    return tmp_path, schema


def test_the_lines_that_combine_copies_name_columns_that_are_there(copied):
    folder, schema = copied
    lines = combining_lines(schema)
    found = {
        table: set(pd.read_parquet(folder / f"{schema.stem(table)}-copies.parquet").columns) for table in schema.tables
    }
    read = [table for table in schema.tables if f'"{schema.stem(table)}-copies.csv"' in lines]
    model = re.search(r"lm\((.*?) ~ (.*)\)\)\)\)?$", lines)
    asked = re.findall(r"[A-Za-z_]\w*", re.sub(r"factor|as\.numeric", "", " ".join(model.groups())))
    assert asked and set(asked) <= set().union(*(found[table] for table in read))
    assert "OUTCOME" not in lines.split() and len(read) == lines.count("read.csv")


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (Debian: r-base-core)")
def test_the_lines_that_combine_copies_run_as_they_are_printed(copied):
    folder, schema = copied
    if subprocess.run(["Rscript", "-e", "library(mitools)"], capture_output=True).returncode:
        pytest.skip("needs R's package mitools")
    ran = subprocess.run(
        ["Rscript", "--vanilla", "-e", combining_lines(schema)], cwd=folder, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "(Intercept)" in ran.stdout and "NaN" not in ran.stdout


def test_croissants_own_validator_finds_no_error_and_reads_every_row(described):
    mlcroissant = pytest.importorskip("mlcroissant")
    folder, schema = described
    data = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not data.metadata.ctx.issues.errors
    unsaid = ("license", "datePublished", "version", "creator", "url", "citeAs")
    assert all(any(each in warning for each in unsaid) for warning in data.metadata.ctx.issues.warnings)
    assert not (schema.publication.licence and data.metadata.ctx.issues.warnings)
    for table in schema.tables:
        rows = pd.DataFrame(data.records(table))
        same = pd.read_parquet(folder / f"{schema.stem(table)}.parquet")
        assert list(rows.columns) == [f"{table}/{column}" for column in same.columns]
        ids = rows.iloc[:, 0].str.decode("utf-8")
        assert ids.tolist() == same.iloc[:, 0].tolist()


def test_a_file_that_was_changed_is_refused_by_who_reads_croissant(tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    data_set(small_cohort(Schema.model_validate(SMALL_SCHEMA), 90), tmp_path)
    shutil.copy(tmp_path / "visits-synthetic.csv", tmp_path / "visits-synthetic.parquet")
    with pytest.raises(mlcroissant.GenerationError, match="Download"):
        list(mlcroissant.Dataset(jsonld=tmp_path / "croissant.json").records("visits"))


def test_sdv_takes_the_metadata_for_the_tables(described):
    metadata = pytest.importorskip("sdv.metadata").Metadata
    folder, schema = described
    known = metadata.load_from_json(folder / "sdv_metadata.json")
    known.validate()
    known.validate_data({table: pd.read_parquet(folder / f"{schema.stem(table)}.parquet") for table in schema.tables})


def test_licence_and_citation_are_the_publishers_or_said_to_be_none():
    silent = Schema.model_validate(SMALL_SCHEMA)
    stated = Schema.model_validate({**SMALL_SCHEMA, "publication": PUBLISHED})
    assert "stated no licence" in licence_section(silent.publication, "small", "first")
    said = licence_section(stated.publication, "small", "first")
    assert "CC-BY-4.0 (https://spdx.org/licenses/CC-BY-4.0.html)" in said and PUBLISHED["citation"] in said


def test_a_publication_may_be_changed_without_the_trial_becoming_another():
    silent = Schema.model_validate(SMALL_SCHEMA)
    stated = Schema.model_validate({**SMALL_SCHEMA, "publication": PUBLISHED})
    assert silent.of_the_trial == stated.of_the_trial
    renamed = Schema.model_validate({**SMALL_SCHEMA, "nominal_size": 401})
    assert silent.of_the_trial != renamed.of_the_trial


def test_gnu_coreutils_reads_the_checksums_and_finds_a_changed_file(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a file.csv", "in/another.csv"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "in" / "another.csv").write_text("other")
    said = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 1 and "in/another.csv: FAILED" in said.stdout
