"""What trials reported, in a file of their study's own.

Ray Tune keeps the same in its experiment directory, together with pickles, and whoever reads those runs whatever the
directory's author put into them. So what is read from a study's folder is this: a line of JSON for each scored epoch
that was saved, and one for each trial that ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.,=-]*$"  # of a folder: none but one below the experiment's own


class TrialLogError(ValueError):
    """A log that cannot be read: one paragraph saying why, and what to do."""


class SavedEpoch(BaseModel):
    """An epoch of a trial that was reported and whose generator was saved.

    Args:
        trial: Ray Tune's name of it.
        folder: of the trial, in the experiment's directory.
        checkpoint: folder of the generator, in the trial's.
        config: the trial's configuration.
        report: what the trial reported at this epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    trial: str = Field(pattern=NAME)
    folder: str = Field(pattern=NAME)
    checkpoint: str = Field(pattern=NAME)
    config: dict[str, Any]
    report: dict[str, float | str | bool | None]


class Ended(BaseModel):
    """The end of a trial.

    Args:
        trial: Ray Tune's name of it.
        ended: whether it came to its end, or was stopped, or failed for good.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: str = Field(pattern=NAME)
    ended: Literal["completed", "failed"]


Line = SavedEpoch | Ended
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


class TrialLog:
    """The file of one search.

    Args:
        file: a text of lines; the last one may be cut short by a kill, and then says nothing.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def append(self, line: Line) -> None:
        """Write one more line, durable when this returns."""
        with self.file.open("ab+") as stream:
            length = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, length - 1))
            cut_short = stream.read(1) not in (b"", b"\n")
            stream.write(b"\n" * cut_short + line.model_dump_json().encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def lines(self) -> Iterator[Line]:
        """All lines in their order, without those that were cut short.

        Raises:
            TrialLogError: there is no such file, or a line is none of ours.
        """
        try:
            written = self.file.read_bytes().split(b"\n")
        except OSError as error:
            raise TrialLogError(
                f"The study's trials cannot be read: {self.file}: {error.strerror}. Restore the file from a backup; if "
                "the study was interrupted before its first trial was scored, resume it with tuner/run.py --resume."
            ) from error
        for number, line in enumerate(written, 1):
            if line.endswith(b"}"):
                yield self._parsed(number, line)

    def _parsed(self, number: int, line: bytes) -> Line:
        try:
            return _LINE.validate_json(line)
        except ValidationError:
            raise TrialLogError(
                f"The study's trials cannot be read: line {number} of {self.file} is none that this program wrote. The "
                "file is not meant to be edited; restore it, or run the study again."
            ) from None
