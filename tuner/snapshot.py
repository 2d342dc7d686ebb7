"""What a killed study resumes from: Tune's state of the experiment, whole and of one moment."""

from __future__ import annotations

import os
import zipfile
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pyarrow import fs
from ray.tune import Callback

from tuner.asha import StudyASHA
from tuner.errors import StudyError

# Tune writes these four, the start of the run in place of the star, and restores the newest of each.
STATE_FILES = ("experiment_state-*.json", "search_gen_state-*.json", "searcher-state-*.pkl", "callback-states-*.pkl")


class Snapshots(Callback):
    """Saves the experiment whenever a trial was added, saved its checkpoint, or ended.

    Tune's own way is a copy at most every ten seconds, file by file over the last one: a kill loses those seconds,
    and one in mid-copy leaves files of two moments, or half a file, with which Tune starts the experiment anew.
    Here the files of one moment go into one archive, which replaces the last in a single step.

    Args:
        scheduler: knows what can save the experiment.
        file: the archive.
    """

    def __init__(self, scheduler: StudyASHA, file: Path) -> None:
        self._scheduler, self._file = scheduler, file
        self._trials = 0
        self._due = False

    def on_trial_save(self, *arguments: Any, **info: Any) -> None:
        """A checkpoint is where a trial would go on from."""
        self._due = True

    on_trial_complete = on_trial_error = on_trial_recover = on_trial_save

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Save between two events of the experiment, when its parts agree."""
        if self._due or len(trials) != self._trials:
            self._save()
            self._due, self._trials = False, len(trials)

    def _save(self) -> None:
        controller = self._scheduler.controller
        assert controller is not None  # a trial was added, so the scheduler has met the controller
        controller.save_to_dir()
        staged = Path(controller.experiment_state_path)
        session = staged.stem.removeprefix("experiment_state-")
        partial = self._file.with_suffix(".partial")
        with partial.open("wb") as stream:
            with zipfile.ZipFile(stream, "w") as archive:
                for name in STATE_FILES:
                    archive.write(staged.with_name(name.replace("*", session)), name)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._file)


def put_back(file: Path, experiment: str) -> None:
    """Make an archive's state the one that Tune restores.

    Args:
        file: an archive that ``Snapshots`` wrote.
        experiment: Tune's experiment directory, an absolute path or a URI.

    Raises:
        StudyError: there is no such directory.
    """
    filesystem, directory = fs.FileSystem.from_uri(experiment)
    try:
        kept = filesystem.get_file_info(fs.FileSelector(directory))
    except FileNotFoundError as error:
        raise StudyError(
            f"The study's trials are no longer at {experiment}, so it cannot be resumed. Put them back there, or "
            "begin a new study."
        ) from error
    for entry in kept:
        if any(fnmatch(entry.base_name, name) for name in STATE_FILES):
            filesystem.delete_file(entry.path)
    now = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    with zipfile.ZipFile(file) as archive:
        for name in STATE_FILES:
            with filesystem.open_output_stream(f"{directory}/{name.replace('*', now)}") as stream:
                stream.write(archive.read(name))
