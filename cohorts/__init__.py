"""Trial files in, `Participants` out; participants split; and a cohort back to files."""

from cohorts.catalogue import BUNDLED, load_cohort, load_participants, resolve_schema
from cohorts.cohort import SPLITS, Cohort, Split
from cohorts.encoding import Encoding
from cohorts.errors import CohortError, show_values
from cohorts.measure import Measure
from cohorts.participants import Participants
from cohorts.report import CellCount, LoadReport, RowCount, RuleCount, VisitWithoutRows
from cohorts.schema import Schema
from cohorts.split_keys import split_key
from cohorts.splits import SplitParticipants, Splits, SplitShares, split_cohort, split_participants
from cohorts.writer import write_cohort, write_copies

__all__ = [
    "BUNDLED",
    "SPLITS",
    "CellCount",
    "Cohort",
    "CohortError",
    "Encoding",
    "LoadReport",
    "Measure",
    "Participants",
    "RowCount",
    "RuleCount",
    "Schema",
    "Split",
    "SplitParticipants",
    "SplitShares",
    "Splits",
    "VisitWithoutRows",
    "load_cohort",
    "load_participants",
    "resolve_schema",
    "show_values",
    "split_cohort",
    "split_key",
    "split_participants",
    "write_cohort",
    "write_copies",
]
