"""Paths from a command line: what no file can be called is the command's mistake, and said there."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path
from typing import Literal

LONGEST_NAME, LONGEST_PATH = 240, 3800  # bytes; systems allow 255 and 4,096, and files beside it have longer names
REASONS = {errno.ENAMETOOLONG: "is too long for a path", errno.ELOOP: "is a symbolic link that leads back to itself"}


def path(text: str) -> Path:
    """A path, which need not exist.

    Raises:
        argparse.ArgumentTypeError: nothing can be there.
    """
    shown = f"{text[:60]!r}{'...' if len(text) > 60 else ''}"
    try:
        sizes = [len(part.encode()) for part in Path(text).parts]
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{shown} is not text in UTF-8; rename the file") from None
    if "\0" in text or not text:
        raise argparse.ArgumentTypeError(f"{shown} is not a path")
    if max(sizes, default=0) > LONGEST_NAME or sum(sizes) > LONGEST_PATH:
        raise argparse.ArgumentTypeError(f"{shown} {REASONS[errno.ENAMETOOLONG]}")
    try:
        Path(text).stat()
    except OSError as error:
        if error.errno in REASONS:
            raise argparse.ArgumentTypeError(f"{shown} {REASONS[error.errno]}") from None
    return Path(text)


def name_or_path(text: str) -> str:
    """The same for what may also be a name; as it was given."""
    path(text)
    return text


def what_is_at(place: Path | str) -> Literal["folder", "file"] | None:
    """What a path leads to, whatever the path; None where that is nothing, or cannot be anything."""
    try:
        there = Path(place)
        return "folder" if there.is_dir() else "file" if there.exists() else None
    except (OSError, ValueError):
        return None
