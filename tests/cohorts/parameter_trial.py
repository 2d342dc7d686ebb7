"""The little trial as ADaM has it: ADSL, a row per subject, and ADVS, a row per subject, parameter and visit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame

CODES = {"SBP": "SYSBP", "HB": "HGB", "NYHA": "NYHACL"}


def adam_mapping() -> dict[str, Any]:
    """The little trial's schema; NYHA classes are texts, so they stand in AVALC."""
    schema = schema_mapping()
    schema |= {"participant": "USUBJID", "tables": {"ADSL": "adsl.csv", "ADVS": "advs.csv"}}
    schema["label"] |= {"table": "ADSL", "column": "TRT01P"}
    schema["visits"]["column"] = "AVISIT"
    for measure in schema["measures"]:
        measure |= {"table": "ADVS", "parameter": CODES[measure["name"]]}
        del measure["column"]
    schema["measures"][2]["column"] = "AVALC"
    for covariate in schema["covariates"]:
        covariate |= {"table": "ADSL", "column": covariate["column"].upper()}
    return schema


def subjects() -> pd.DataFrame:
    """ADSL."""
    return people_frame().rename(columns={"id": "USUBJID", "arm": "TRT01P", "age": "AGE", "sex": "SEX"})


def parameters() -> pd.DataFrame:
    """ADVS: sorted as ADaM sorts it, and AVALC is AVAL in words where AVAL is a number."""
    names = {"id": "USUBJID", "visit": "AVISIT", "sbp": "SYSBP", "hb": "HGB", "nyha": "NYHACL"}
    tall = visits_frame().rename(columns=names).melt(["USUBJID", "AVISIT"], var_name="PARAMCD", value_name="AVALC")
    tall = tall.sort_values(["USUBJID", "PARAMCD", "AVISIT"], ignore_index=True)
    tall["AVAL"] = pd.to_numeric(tall["AVALC"], errors="coerce")
    return tall.assign(AVALC=tall["AVALC"].astype(str)).astype({"AVAL": float})


def write_adam(directory: Path, advs: pd.DataFrame | None = None, schema: dict[str, Any] | None = None) -> str:
    """Write the trial and its schema; returns the schema's path as `load_participants` takes it."""
    directory.mkdir(parents=True, exist_ok=True)
    subjects().to_csv(directory / "adsl.csv", index=False)
    (parameters() if advs is None else advs).to_csv(directory / "advs.csv", index=False)
    path = directory / "adam.yaml"
    path.write_text(yaml.safe_dump(schema or adam_mapping(), sort_keys=False))
    return str(path)
