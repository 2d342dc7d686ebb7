"""Checksums of every file in a folder, as `sha256sum --check` of GNU coreutils reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from analysis.errors import AnalysisError

SUMS_FILE = "SHA256SUMS"


def write_sums(folder: Path) -> None:
    """Write down the checksum of every file of a folder and of those in it."""
    lines = (f"{sha256(folder / name)}  {name}\n" for name in file_names(folder) if name != SUMS_FILE)
    (folder / SUMS_FILE).write_text("".join(lines))


def read_sums(folder: Path) -> dict[str, str]:
    """Checksums by file name, as they were written down.

    Raises:
        AnalysisError: there are none, or they cannot be read.
    """
    file = folder / SUMS_FILE
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        raise AnalysisError(
            f"{folder} holds no {SUMS_FILE} that can be read, so nothing says which files belong to it. Ask the "
            "publisher for the whole folder; releases of version 0.1 had none."
        ) from None
    parts = [line.split("  ", 1) for line in lines]
    if not parts or any(len(each) != 2 for each in parts):
        raise AnalysisError(f"{file} is damaged: its lines are not a checksum and a file each. Fetch the folder again.")
    return {name: digest for digest, name in parts}


def file_names(folder: Path) -> list[str]:
    """Every file of a folder, by its path from there, in order."""
    return sorted(_names(folder.rglob("*"), folder))


def sha256(file: Path) -> str:
    """Checksum of a file, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _names(found: Iterable[Path], folder: Path) -> Iterator[str]:
    return (each.relative_to(folder).as_posix() for each in found if not each.is_dir() or each.is_symlink())
