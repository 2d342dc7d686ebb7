"""Trial files in, `Cohort` out; participants split; and a cohort back to files."""

from cohorts.catalogue import BUNDLED, load_cohort, resolve_schema
from cohorts.cohort import Cohort
from cohorts.encoding import Encoding
from cohorts.errors import CohortError
from cohorts.report import LoadReport, RowCount, RuleCount
from cohorts.schema import Measure, Schema
from cohorts.splits import Splits, SplitShares, split_key, split_participants
from cohorts.writer import write_cohort

__all__ = [
    "BUNDLED",
    "Cohort",
    "CohortError",
    "Encoding",
    "LoadReport",
    "Measure",
    "RowCount",
    "RuleCount",
    "Schema",
    "SplitShares",
    "Splits",
    "load_cohort",
    "resolve_schema",
    "split_key",
    "split_participants",
    "write_cohort",
]
