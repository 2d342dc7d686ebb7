"""The datasheet says where each measure of a table with a row per parameter stands."""

from analysis.dataset.dictionary import table_section
from cohorts import Schema
from tests.cohorts.parameter_trial import adam_mapping


def test_a_parameters_column_code_and_flag_are_in_the_datasheet():
    schema = Schema.model_validate(adam_mapping() | {"where": {"ADVS": {"ANL01FL": "Y"}}})
    section = table_section(schema, "ADVS")
    assert "| PARAMCD | parameter |" in section
    assert "| ANL01FL | rows that count |  | Y |" in section
    assert "| AVAL, parameter SYSBP | SBP | mmHg | whole numbers, 60 to 240 |" in section
    assert "| AVALC, parameter NYHACL | NYHA |  | I, II, III |" in section
