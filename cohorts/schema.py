"""What is public about a cohort: its files, label, visits, measures and their ranges.

Every number here is a public constant written down by a person. Nothing in this module reads a participant.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from cohorts.cell_rules import DetectionLimit, numbers_within
from cohorts.constraints import Constraints, Vocabulary
from cohorts.files import NOT_READ, Format, stem_of
from cohorts.labels.class_label import ListedClass
from cohorts.labels.label import LABELS, Label
from cohorts.labels.outcome_label import OutcomeLabel
from cohorts.labels.survival_label import Status, SurvivalLabel
from cohorts.measure import Measure
from cohorts.origin import Origin, place_of
from cohorts.parameters import Parameters, RowKind, check_parameters
from cohorts.parts import Category, Frozen, Name
from cohorts.publication import Publication
from cohorts.schema_defaults import BY_TABLE, filled_in
from cohorts.schema_file import read_schema_mapping, schema_error
from cohorts.spelling import require_distinct, tidy
from cohorts.visits import Dropout, Visits, Window

MINIMUM_PARTICIPANTS = 50
"""Below this many complete participants no cohort is loaded, and none may be declared."""


class Schema(Frozen):
    """Everything public about a cohort; see docs/cohorts.md for how to write one as YAML.

    `tables` maps a table's name to its file, relative to the data directory (or `package:PACKAGE/PATH`).
    `format` says what the files themselves do not, by table; a single one in YAML is for all of them. In the same way
    `parameters` names the columns of tables with a row per parameter, and `where` the value that a column must have
    for a row to count.
    `participant` is the column of the participant's id, or several that make it up together, in every table.
    `nominal_size` is the public number of complete participants, from the protocol or publication, never counted.
    `enrolled` is that of all who were enrolled, for the datasheet to say how many are left out, and may be changed at
    any time.
    `constraints` are sentences that are true of every synthetic participant; real ones are not held to them.
    `publication` says how a synthetic copy is published, and may be changed at any time.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    public: bool
    participant: Name | Annotated[tuple[Name, ...], Field(min_length=1)]
    nominal_size: int = Field(ge=MINIMUM_PARTICIPANTS)
    enrolled: int | None = Field(default=None, le=10**9)
    tables: dict[str, str] = Field(min_length=1)
    format: dict[str, Format] = Field(default_factory=dict)
    parameters: dict[str, Parameters] = Field(default_factory=dict)
    where: dict[str, dict[str, Category]] = Field(default_factory=dict)
    label: Label
    visits: Visits
    measures: tuple[Measure, ...] = Field(min_length=1)
    covariates: tuple[Measure, ...] = ()
    constraints: tuple[str, ...] = ()
    publication: Publication = Publication()

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, given: Any) -> Any:
        return filled_in(given)

    @model_validator(mode="after")
    def _consistent(self) -> Schema:
        require_distinct("measure", (m.name for m in self.all_measures))
        if self.enrolled is not None and self.enrolled < self.nominal_size:
            raise ValueError(
                f"enrolled: {self.enrolled} are fewer than the nominal_size of {self.nominal_size}, who are those of "
                "them that take part"
            )
        used = [("label", self.label.name, self.label.table)]
        used += [("measure", m.name, m.table) for m in self.recorded]
        used += [(what, column, table) for (table, column), what in self.origins.items()]
        for what, name, table in used:
            if table not in self.tables:
                raise ValueError(f"{what} {name}: table {table!r} is not among tables ({', '.join(self.tables)})")
        for table in self.tables:
            if table not in {table for _, _, table in used}:
                raise ValueError(f"table {table!r} is used by no measure, covariate or label; remove it from tables")
        for key in BY_TABLE:
            for table in getattr(self, key):
                if table not in self.tables:
                    raise ValueError(f"{key}: table {table!r} is not among tables ({', '.join(self.tables)})")
        self._check_missing_values()
        self._check_encodings()
        self._check_file_names()
        if self.visits.baseline is not None and not self.label.randomised:
            remedy = (
                ", since an outcome is none" if isinstance(self.label, OutcomeLabel) else ", or say randomised: true"
            )
            raise ValueError(f"visits: baseline is for a randomised label; leave it out{remedy}")
        if isinstance(self.label, SurvivalLabel):
            self.label.check_curves(self.covariates)
        self._check_visit_columns()
        for table in self.tables:
            measures, covariates = (
                [each for each in those if each.table == table] for those in (self.measures, self.covariates)
            )
            check_parameters(table, measures, covariates, self.format_of(table))
        self._check_columns_are_used_once()
        self.constrained()
        return self

    def _check_encodings(self) -> None:
        """Whether a synthetic table can be written in the encoding that is declared."""
        for table, how in self.format.items():
            texts = [column for column, _ in self.column_uses(table)] + list(self.visits.codes or ())
            texts += [str(value) for value in self.label.texts if self.label.table == table]
            texts += [str(category) for m in self.all_measures if m.table == table for category in m.categories]
            texts += [str(value) for value in self.where.get(table, {}).values()]
            texts += [kind.parameter for kind in self.all_row_kinds(table) if kind.parameter is not None]
            for text in texts:
                try:
                    text.encode(how.encoding or "utf-8")
                except UnicodeEncodeError:
                    raise ValueError(f"format: {text!r} cannot be written in the encoding {how.encoding}") from None

    def _check_missing_values(self) -> None:
        numbers = [each for each in self.all_measures if not each.discrete]
        numbers += [self.label.number] if isinstance(self.label, OutcomeLabel) else []
        for measure in numbers:
            within = numbers_within(self.format_of(measure.table).missing_values, measure.lower, measure.upper)
            if within:
                raise ValueError(
                    f"format: missing_values of table {measure.table!r} holds {within[0]}, which lies within the "
                    f"limits of {measure.name}, so there it is a value; name missing_values at the other measures"
                )

    def _check_file_names(self) -> None:
        written: dict[str, str] = {}
        for table, file in self.tables.items():
            remedy = NOT_READ.get(PurePosixPath(file).suffix.lower())
            if remedy is not None:
                raise ValueError(f"table {table!r}: files such as {file} are not read. {remedy.rstrip('.')}")
            other = written.setdefault(self.stem(table).casefold(), table)
            if other != table and self.tables[other] == file:
                if self.format_of(other).sheet != self.format_of(table).sheet:
                    remedy = "Save each sheet as a file of its own"
                else:
                    remedy = f"Remove {table!r}, and say table: {other} of what it holds: one table may hold everything"
                raise ValueError(f"tables {other!r} and {table!r} are the same file, {file}. {remedy}")
            if other != table:
                raise ValueError(
                    f"tables {other!r} and {table!r} both have a file called {self.stem(table)}; a synthetic cohort is "
                    f"written as {self.stem(table)}.csv and {self.stem(table)}.parquet, so one would replace the "
                    "other. Rename one of the files"
                )

    def _check_visit_columns(self) -> None:
        for measure in self.measures:
            if measure.column is not None and self.visits.column is None:
                raise ValueError(f"measure {measure.name} has one row per visit (column), so visits needs column too")
            strangers = [visit for visit in self.visits_of(measure) if visit not in self.visit_names]
            if strangers:
                raise ValueError(
                    f"measure {measure.name} names the visit {strangers[0]}, which is none of the visits "
                    f"{', '.join(self.visit_names)}"
                )
        for visit in self.visit_names:
            if not any(visit in self.visits_of(measure) for measure in self.measures):
                raise ValueError(
                    f"nothing is measured at the visit {visit}; name it in a measure's visits, or remove it"
                )
        for covariate in self.covariates:
            if covariate.column is None or covariate.visits is not None:
                raise ValueError(
                    f"covariate {covariate.name} has one value per participant; give column, not columns or visits"
                )

    def _check_columns_are_used_once(self) -> None:
        require_distinct("participant column", self.id_columns)
        for table in self.tables:
            uses: dict[str, str] = {}
            for column, use in self.column_uses(table):
                other = uses.setdefault(tidy(column), use)
                if other is not use:
                    raise ValueError(
                        f"column {column} of table {table!r} is named twice, by {other} and by {use}; the synthetic "
                        "table could hold only one of them. Remove one, or correct its column"
                    )

    @property
    def of_the_trial(self) -> Schema:
        """The schema without what is said for readers of a publication: what a study must find as it began with."""
        return self.model_copy(update={"publication": Publication(), "enrolled": None})

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns that make up a participant's id."""
        return (self.participant,) if isinstance(self.participant, str) else self.participant

    @property
    def visit_origins(self) -> tuple[tuple[str, str], ...]:
        """Tables and their columns that hold the date which visits are counted from."""
        if self.visits.origin is None:
            return ()
        return tuple(dict.fromkeys(place_of(self.visits.origin, table) for table in self.visit_tables))

    @property
    def origins(self) -> dict[tuple[str, str], str]:
        """All tables and columns that hold a date which days are counted from, each with what for."""
        of_measures = dict.fromkeys(each.counted_from for each in self.recorded if each.counted_from is not None)
        return dict.fromkeys(of_measures, "origin of days") | dict.fromkeys(self.visit_origins, "origin of visits")

    def column_uses(self, table: str) -> list[tuple[str, str]]:
        """The columns that are read from a table, each with what for, as in a message."""
        uses = [(column, "participant") for column in self.id_columns]
        if table in self.visit_tables and self.visits.column is not None:
            uses.append((self.visits.column, "visits"))
        uses += [(column, what) for (place, column), what in self.origins.items() if place == table]
        uses += [(column, "where") for column in self.where.get(table, {})]
        if self.by_parameter(table):
            uses.append((self.parameters_of(table).column, "parameters"))
        if self.label.table == table:
            uses += [(column, f"label {self.label.name}") for column in self.label.columns]
        for what, measures in (("measure", self.measures), ("covariate", self.covariates)):
            for measure in (each for each in measures if each.table == table):
                if measure.column is not None and (measure.column, "values of parameters") not in uses:
                    by_parameter = measure.parameter is not None
                    uses.append((measure.column, "values of parameters" if by_parameter else f"{what} {measure.name}"))
                for visit, column in (measure.columns or {}).items():
                    uses.append((column, f"{what} {measure.name} at visit {visit}"))
        return uses

    def stem(self, table: str) -> str:
        """What a table's file is called, without folder and ending."""
        return stem_of(self.tables[table].removeprefix("package:"))

    def format_of(self, table: str) -> Format:
        """What the schema says about a table's file."""
        return self.format.get(table, Format())

    def parameters_of(self, table: str) -> Parameters:
        """Which columns of a table with a row per parameter say what was measured, and the value."""
        return self.parameters.get(table, Parameters())

    def by_parameter(self, table: str) -> bool:
        """Whether a table has a row per participant, visit and parameter."""
        return any(kind.parameter is not None for kind in self.all_row_kinds(table))

    def row_kinds(self, table: str) -> tuple[RowKind, ...]:
        """The kinds of rows that a participant has in a table by visits; none in another table."""
        long = [measure for measure in self.measures if measure.table == table and measure.columns is None]
        return tuple(dict.fromkeys(RowKind(table, measure.parameter) for measure in long))

    def all_row_kinds(self, table: str) -> tuple[RowKind, ...]:
        """These, then those of its covariates' parameters."""
        constant = [each for each in self.covariates if each.table == table and each.parameter is not None]
        return (*self.row_kinds(table), *dict.fromkeys(RowKind(table, each.parameter) for each in constant))

    def measures_of(self, kind: RowKind) -> dict[int, Measure]:
        """The measures, or covariates, that rows of a kind hold, by their place among all."""
        by_row = [each.columns is None for each in self.measures]
        by_row += [each.parameter is not None for each in self.covariates]
        return {
            m: measure
            for m, measure in enumerate(self.recorded)
            if by_row[m] and RowKind(measure.table, measure.parameter) == kind
        }

    @property
    def recorded(self) -> tuple[Measure, ...]:
        """Measures, then static covariates: what stands in the files."""
        return self.measures + self.covariates

    @property
    def all_measures(self) -> tuple[Measure, ...]:
        """The M rows of a participant: those recorded; of an outcome where it lies within its class; whether visits
        that may be missed were attended; and with dropout which was the last, by its number from 1."""
        measures = self.recorded
        if isinstance(self.label, OutcomeLabel):
            measures = (*measures, self.label.position)
        return (*measures, *self.visits.attendance)

    @property
    def outcome_row(self) -> int | None:
        """Which of these rows says where an outcome lies within its class; None where the label is but a class."""
        return len(self.recorded) if isinstance(self.label, OutcomeLabel) else None

    @property
    def presence_row(self) -> int | None:
        """Which of these rows says of visits whether each was attended; None where none may be missed."""
        if not self.visits.may_be_missed:
            return None
        return len(self.recorded) + isinstance(self.label, OutcomeLabel)

    @property
    def at_visits(self) -> np.ndarray:
        """Which of these rows are about visits, and not once about a participant: bool (M,)."""
        rows = np.arange(len(self.all_measures))
        at_visits: np.ndarray = (rows < len(self.measures)) | (rows == self.presence_row)
        return at_visits

    @property
    def compared_by(self) -> str | None:
        """Name of the label, where it has classes that can be compared."""
        return self.label.name if len(self.label.classes) > 1 else None

    def visits_of(self, measure: Measure) -> tuple[str, ...]:
        """The visits at which a measure is expected, in order."""
        named = measure.columns or measure.visits
        return tuple(named) if named is not None else self.visit_names

    @property
    def visit_names(self) -> tuple[str, ...]:
        """The V visits, in order."""
        return self.visits.names

    @property
    def observed(self) -> np.ndarray:
        """Which cells may hold a value: a measure's visits, the first visit of all else. Bool (M, V)."""
        observed = np.zeros((len(self.all_measures), len(self.visit_names)), dtype=bool)
        observed[len(self.measures) :, 0] = True
        for m, measure in enumerate(self.measures):
            observed[m] = np.isin(self.visit_names, self.visits_of(measure))
        if self.presence_row is not None:
            observed[self.presence_row] = np.isin(self.visit_names, self.visits.may_be_missed)
        return observed

    @property
    def may_be_missing(self) -> np.ndarray:
        """Which of these cells may lack a value in a complete participant: bool (M, V)."""
        may_be_gone = np.zeros_like(self.observed)
        if self.visits.dropout:
            may_be_gone[self.at_visits, self.visits.surely_attended :] = True
        if self.visits.may_be_missed:
            may_be_gone[: len(self.measures)] |= np.isin(self.visit_names, self.visits.may_be_missed)
        missing: np.ndarray = self.observed & (self._allowed | may_be_gone)
        return missing

    @property
    def _allowed(self) -> np.ndarray:
        """Which measures may be missing by themselves: bool (M, 1)."""
        return np.array([[measure.missing == "allowed"] for measure in self.all_measures])

    def needed(self, values: np.ndarray) -> np.ndarray:
        """Which cells must hold a value in a complete participant: bool (n, M, V).

        Args:
            values: (n, M, V), of which only the visits attended count.
        """
        needed: np.ndarray = (self.observed & ~self._allowed) & ~self.gone(values)
        return needed

    @property
    def before_randomisation(self) -> np.ndarray:
        """Which cells are from before randomisation, hence alike in all arms: bool (M, V); none without a baseline."""
        before = np.zeros_like(self.observed)
        if self.label.randomised and self.visits.baseline is not None:
            before[: len(self.recorded), 0] = self.observed[: len(self.recorded), 0]
            if self.presence_row is not None:
                before[self.presence_row, 0] = self.observed[self.presence_row, 0]
        return before

    def constrained(self) -> Constraints:
        """What is true of every synthetic participant.

        Raises:
            ValueError: a constraint cannot be understood or kept.
        """
        recorded = len(self.recorded)
        observed, before = self.observed[:recorded], self.before_randomisation[:recorded]
        words = Vocabulary(self.recorded, len(self.measures), self.visit_names, observed, before)
        return Constraints(self.constraints, words)

    def gone(self, values: np.ndarray) -> np.ndarray:
        """Cells of measures at visits that a participant missed, or does not attend any more: bool (n, M, V).

        Args:
            values: (n, M, V).
        """
        gone = np.zeros(values.shape, dtype=bool)
        if self.visits.dropout:
            gone[:, self.at_visits] = (np.arange(values.shape[2]) >= values[:, -1, :1])[:, None]
        if self.presence_row is not None:
            gone[:, : len(self.measures)] |= (values[:, self.presence_row] == 0)[:, None]
        return gone

    @property
    def visit_tables(self) -> tuple[str, ...]:
        """The tables that have one row per participant and visit, or one of each parameter."""
        return tuple(table for table in self.tables if self.row_kinds(table))

    @classmethod
    def load(cls, path: Path | str) -> Schema:
        """Read a schema from YAML.

        Raises:
            CohortError: naming the file and the key that is missing, unknown or wrong.
        """
        mapping = read_schema_mapping(Path(path))
        try:
            return cls.model_validate(mapping)
        except ValidationError as error:
            parts: list[type[BaseModel]] = [Schema, *LABELS, ListedClass, Status, Visits, Dropout, Origin, Window]
            parts += [Measure, Format, Parameters, DetectionLimit, Publication]
            known_keys = {field.alias or name for part in parts for name, field in part.model_fields.items()}
            raise schema_error(Path(path), error, known_keys) from None
