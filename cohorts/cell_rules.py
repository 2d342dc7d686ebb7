"""What a schema may say about the cells of a measure's column: which are missing, censored or to be mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict, Field

from cohorts.parts import Category, Frozen
from cohorts.spelling import canonical


class DetectionLimit(Frozen):
    """How a value below what the assay detects, written as `<0.5`, is read: as half the limit, the limit, or `lower`.

    Args:
        value: the limit, in the measure's unit.
        read_as: `as` in YAML.
    """

    value: float
    read_as: Literal["half", "limit", "lower"] = Field(default="half", alias="as")

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True)

    def stands_for(self, lower: float) -> float:
        """The number that is read, for a measure with this lower limit."""
        return {"half": self.value / 2, "limit": self.value, "lower": lower}[self.read_as]


class CellRules(Frozen):
    """Rules for cells, and what the measure is.

    Args:
        description: free text for readers of the release.
        missing_values: codes of missing values, besides those of the table and the ones that are always missing.
        outside: what becomes of a number outside the limits.
        detection_limit: how values below it are read; without it they are an error.
    """

    description: str = ""
    missing_values: tuple[Category, ...] = ()
    outside: Literal["error", "clamp", "missing"] = "error"
    detection_limit: DetectionLimit | None = None

    def check_numbers(self, whole: bool, lower: float, upper: float) -> None:
        """Raise ValueError unless the rules suit a numeric measure."""
        within = numbers_within(self.missing_values, lower, upper)
        if within:
            raise ValueError(f"missing_values holds {within[0]}, which lies between lower and upper, so it is a value")
        if self.detection_limit is None:
            return
        stands_for = self.detection_limit.stands_for(lower)
        if not lower <= stands_for <= upper:
            raise ValueError(
                f"detection_limit: values below it would be read as {stands_for:g}, outside {lower:g} to {upper:g}"
            )
        if whole and stands_for % 1:
            raise ValueError(
                f"detection_limit: values below it would be read as {stands_for:g}, no whole number; say as: limit or "
                "as: lower"
            )

    def check_categories(self, categories: Sequence[Category]) -> None:
        """Raise ValueError unless the rules suit a measure of categories."""
        if self.outside != "error" or self.detection_limit is not None:
            raise ValueError("outside and detection_limit are for numbers, not for categories; leave them out")
        both = {canonical(category) for category in categories} & {canonical(each) for each in self.missing_values}
        if both:
            raise ValueError(f"{min(both)!r} is both a category and among missing_values; it can be one of them")


def numbers_within(codes: Sequence[Category], lower: float, upper: float) -> list[Category]:
    """Those codes of missing values that a measure with these limits could have as a value."""
    return [code for code in codes if _is_number(code) and lower <= float(code) <= upper]


def _is_number(code: Category) -> bool:
    try:
        float(code)
    except ValueError:
        return False
    return True
