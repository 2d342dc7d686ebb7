"""`python -m analysis verify DIR`: whether a release is what was published."""

from __future__ import annotations

import argparse

from rich.console import Console

from cohorts.arguments import path

SUMMARY = "check a release that you were given, or are about to publish"

DESCRIPTION = """\
Check a release with nothing but its folder: every file is as SHA256SUMS and manifest.json say, none is missing and
none is left over; its tables keep to its schema, limits and constraints included; CSV and Parquet hold the same
participants, as many as were published.
"""

EPILOG = """\
examples:
  python -m analysis verify results/first/release
  python -m analysis verify downloaded-release

What it cannot know is whether the folder is the one that somebody published: compare the SHA-256 of SHA256SUMS, which
is printed, with one that you were given another way. `python check_epsilon.py` in the folder computes epsilon again.
Exit status: 0 when everything holds, else 2, with a sentence that says what does not.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    parser.add_argument("folder", type=path, metavar="DIR", help="folder of a release, or of a study that has one")


def run(given: argparse.Namespace, console: Console) -> int:
    """Verify; returns the exit status."""
    from analysis.dataset.sums import SUMS_FILE, sha256
    from analysis.verifying import verify_release

    verified = verify_release(given.folder)
    console.print(
        f"{verified.folder} holds: {verified.files} files as they were published, {verified.manifest.participants:,} "
        f"participants as the schema has them, the same in CSV and Parquet.\nSHA-256 of {SUMS_FILE}: "
        f"{sha256(verified.folder / SUMS_FILE)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0
