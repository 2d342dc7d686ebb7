"""Participants' ids that stand in several columns, such as a site and a number within the site."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cohorts.errors import quoted, values_are_shown
from cohorts.schema import Schema

PART = r"(?:\\.|[^\\/])+"  # of a joined id: a slash or backslash within it stands behind a backslash
SYNTHETIC = "synthetic"
"""What a synthetic participant, who has a single number, has in the other columns of an id."""


def joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """One id per row from those in several columns; two rows have the same only if they agree in every column.

    Args:
        columns: texts, each object (rows,).

    Example:
        >>> list(joined([np.array(["S1", "S/1"], dtype=object), np.array(["7", "7"], dtype=object)]))
        ['S1/7', 'S\\\\/1/7']
    """
    if len(columns) == 1:
        return columns[0]
    first, *rest = (pd.Series(column, dtype=object).str.replace(r"([\\/])", r"\\\1", regex=True) for column in columns)
    for column in rest:
        first = first + "/" + column
    ids: np.ndarray = first.to_numpy(dtype=object)
    return ids


def apart(ids: np.ndarray, columns: int) -> list[np.ndarray]:
    """The inverse of `joined`, (n,) per column; an id that is no joined one stands in the last column.

    Example:
        >>> [list(column) for column in apart(np.array(["S1/7", "S000001"]), 2)]
        [['S1', 'synthetic'], ['7', 'S000001']]
    """
    if columns == 1:
        return [ids.astype(object)]
    rows = []
    for each in ids:
        parts = [re.sub(r"\\(.)", r"\1", part) for part in re.findall(PART, str(each))]
        rows.append(parts if len(parts) == columns else [SYNTHETIC] * (columns - 1) + [str(each)])
    return [np.array(column, dtype=object) for column in zip(*rows, strict=True)] if rows else [ids] * columns


def hint_of_sites(schema: Schema) -> str:
    """What to do about an id that seems to be two people's: a sentence, after a space."""
    return (
        " If ids repeat between sites, name both columns in the schema: participant: "
        f"[site, {schema.id_columns[-1]}], where site is the column of the site."
        if len(schema.id_columns) == 1
        else ""
    )


def participant(who: object) -> str:
    """A participant in a message: by id only where values are shown."""
    return quoted(f"participant {who}", "a participant")


def shape(who: str) -> str:
    """What an id looks like, without being it.

    Example:
        >>> [shape(who) for who in ("12", "0012", "P-12")]
        ['digits, 2 long', 'digits with leading zeros, 4 long', 'letters, digits and signs, 4 long']
    """
    kinds = {
        "letters": any(each.isalpha() for each in who),
        "digits": any(each.isdigit() for each in who),
        "signs": any(not each.isalnum() for each in who),
    }
    *most, last = [kind for kind, found in kinds.items() if found]
    zeros = " with leading zeros" if who.isdigit() and who.startswith("0") and len(who) > 1 else ""
    words = f"{', '.join(most)} and {last}" if most else last
    return f"{words}{zeros}, {len(who)} long"


def spelled_differently(here: str, there: str) -> str:
    """How two files spell ids that do not match: one of each, or what they look like."""
    if values_are_shown():
        return f"{here!r} against {there!r}"
    if shape(here) == shape(there):
        return f"both look alike ({shape(here)}), so these may be files of different trials"
    return f"{shape(here)}, against {shape(there)}"
