"""What a study keeps of its cohort's ledger, and the check of it.

``results/STUDY`` holds a copy of the ledger as of the release, its figures as JSON, and the receipts the study was
given. The check computes every figure again from the copy, and looks for copy and receipts in the cohort's own
ledger, where that is on this machine.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privacy.errors import LedgerError
from privacy.ledger.entries import Books
from privacy.ledger.hash_chain import read_header
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import ledger_file_of
from privacy.ledger.receipt import Receipt, cohort_named, read_receipts
from privacy.ledger.summary import Summary, summarise

COPY, FIGURES, RECEIPTS = "ledger.db", "ledger.json", "receipts.jsonl"
SETTINGS = "study.json"  # which names the ledger, where --ledger did
RECEIPTS_OF_OLD = "witnesses.jsonl"
SAME = 1e-6  # relative; another version of the accountant may differ in the last digits


@dataclass(frozen=True)
class Checked:
    """A study's record that held.

    Args:
        summary: the figures, computed again.
        receipts: how many were found.
        own_ledger: the cohort's ledger that the copy was found in; None where it is not on this machine.
        figures: whether written figures were there to compare.
    """

    summary: Summary
    receipts: int
    own_ledger: Path | None
    figures: bool


def keep_record(ledger: Ledger, study_directory: Path, study: str, delta: float | None = None) -> Summary:
    """Write the copy and the figures of a verified ledger into a study's directory, for its release.

    Raises:
        LedgerError: when the ledger is not whole, or not the one that the study's receipts are of.
    """
    receipts = study_directory / RECEIPTS
    ledger.verify(read_receipts(receipts) if receipts.exists() else ())
    summary = summarise(ledger.books, ledger.cohort, ledger.public, study, delta)
    ledger.copy_to(study_directory / COPY)
    summary.write(study_directory / FIGURES)
    return summary


def check_record(study_directory: Path, own_ledger: Path | None = None, reported: Sequence[Receipt] = ()) -> Checked:
    """Check a study's record.

    Args:
        study_directory: ``results/STUDY``.
        own_ledger: the cohort's own ledger; the one that the study was charged to if left out.
        reported: receipts that the study's trials reported.

    Raises:
        LedgerError: for anything missing, broken, or not as computed again.
    """
    if (study_directory / RECEIPTS_OF_OLD).exists():
        raise LedgerError(
            f"The record in {study_directory} was kept by version 0.1 of dpgan-tune, and only that version can check "
            "it. The cohort's own ledger still counts what the study read; check that one here."
        )
    own_ledger = _own_ledger(study_directory, own_ledger)
    copy = Ledger.open(study_directory / COPY, read_only=True, copied_from=own_ledger)
    try:
        kept = read_receipts(study_directory / RECEIPTS) if (study_directory / RECEIPTS).exists() else ()
        receipts = [*kept, *reported]
        figures = _read_figures(study_directory / FIGURES)
        if figures:
            _require_all_told(copy, figures, study_directory, reported)
        copy.verify(_in_copy(receipts, figures))
        summary = _compare(copy, figures) if figures else _summary_of(copy, study_directory.resolve().name)
        if own_ledger.exists():
            known = [copy.receipt] if copy.receipt else []
            _require_in(own_ledger, [*receipts, *known])
    finally:
        copy.close()
    return Checked(summary, len(receipts), own_ledger if own_ledger.exists() else None, figures is not None)


def _own_ledger(study_directory: Path, named: Path | None) -> Path:
    """The ledger that a study was charged to: the one that it named, or else the one in the folder for ledgers."""
    cohort = str(read_header(study_directory / COPY)["cohort"])
    for place in (named, _named_by(study_directory)):
        if place and place.is_file():
            return place
    return ledger_file_of(cohort)


def _named_by(study_directory: Path) -> Path | None:
    named = _setting(study_directory, "ledger")
    return Path(named) if isinstance(named, str) and "\0" not in named else None


def _setting(study_directory: Path, key: str) -> Any:
    try:
        return json.loads((study_directory / SETTINGS).read_text()).get(key)
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def _in_copy(receipts: Sequence[Receipt], figures: Mapping[str, Any] | None) -> list[Receipt]:
    """Receipts that the copy must contain: those from up to when it was made, and where that is written, that one."""
    if figures is None:
        return list(receipts)
    as_of = Receipt.parse(figures["receipt"])
    return [*(each for each in receipts if each.count <= as_of.count), as_of]


def _require_all_told(
    copy: Ledger, figures: Mapping[str, Any], study_directory: Path, reported: Sequence[Receipt]
) -> None:
    """Raise LedgerError where figures are of another study, or of before its last reading for its release."""
    study, as_of = figures.get("study"), Receipt.parse(figures["receipt"])
    named = _setting(study_directory, "study")
    later = any(charge.study == study for _, charge in copy.books.release_charges(as_of.count))
    later |= any(each.count > as_of.count for each in reported)
    if later or named not in (None, study):
        raise LedgerError(
            f"The figures in {study_directory / FIGURES} are not those of all that the study read for its release: "
            "someone edited them. Rebuild the release from the ledger."
        )


def _summary_of(ledger: Ledger, study: str) -> Summary:
    known = {entry.study for entry in ledger.books.entries}
    return summarise(ledger.books, ledger.cohort, ledger.public, study if study in known else None)


def _read_figures(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    try:
        figures = json.loads(file.read_text())
        Receipt.parse(figures["receipt"])
        return dict(figures)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise LedgerError(f"{file} does not hold a ledger's figures: someone edited it. Rebuild the release.") from None


def _compare(copy: Ledger, written: Mapping[str, Any]) -> Summary:
    """The figures computed again from the entries there were when they were written."""
    entries = copy.books.entries[: Receipt.parse(written["receipt"]).count]
    with_pld = any(each.get("epsilon_by_pld") is not None for each in written.get("sums", ()))
    summary = summarise(
        Books(copy.public, entries), copy.cohort, copy.public, written.get("study"), written.get("delta"), with_pld
    )
    wrong = list(_differences("", json.loads(json.dumps(summary.as_json())), written))
    if wrong:
        raise LedgerError(
            f"The study's recorded figures are not what its ledger gives: {'; '.join(wrong[:5])}. Someone edited one "
            "of them. Rebuild the release from the ledger."
        )
    return summary


def told_by_studies(out: Path) -> list[tuple[str, Receipt]]:
    """Receipts that the studies in a folder hold, each with the name of the cohort whose ledger it is of.

    Studies that have not finished hold some, too, and those that were killed what their trials reported.
    """
    told = []
    for file in sorted(out.glob(f"*/{RECEIPTS}")):
        try:
            receipts, copy = read_receipts(file), file.with_name(COPY)
            cohort = str(read_header(copy)["cohort"]) if copy.exists() else cohort_named(file)
        except LedgerError:  # of another version, or damaged: it proves nothing
            continue
        if cohort is not None:
            told += [(cohort, receipt) for receipt in (*receipts, *_reported(file.parent))]
    return told


def _reported(study_directory: Path) -> Iterator[Receipt]:
    """What trials that read participants were told, by the logs of their searches."""
    for log in sorted(each for each in study_directory.glob("*.jsonl") if os.access(each, os.R_OK) and each.is_file()):
        for line in log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError, LedgerError):
                yield Receipt.parse(str(json.loads(line)["report"]["ledger"]))


def _differences(place: str, computed: Any, written: Any) -> Iterable[str]:
    if isinstance(computed, dict) and isinstance(written, dict):
        for key in sorted({*computed, *written}):
            yield from _differences(f"{place}.{key}".lstrip("."), computed.get(key), written.get(key))
    elif isinstance(computed, list) and isinstance(written, list) and len(computed) == len(written):
        for index, pair in enumerate(zip(computed, written, strict=True)):
            yield from _differences(f"{place}[{index}]", *pair)
    elif isinstance(computed, float) and isinstance(written, int | float):
        if not math.isclose(computed, written, rel_tol=SAME):
            yield f"{place} is recorded as {written:g} but computed as {computed:g}"
    elif computed != written:
        yield f"{place} is recorded as {str(written)[:80]} but computed as {str(computed)[:80]}"


def _require_in(own_ledger: Path, receipts: Sequence[Receipt]) -> None:
    ledger = Ledger.open(own_ledger, read_only=True)
    try:
        ledger.verify(receipts)
    finally:
        ledger.close()
