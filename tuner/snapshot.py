"""What a killed study resumes from: Tune's state of the experiment, whole, of one moment, and sealed.

Tune's state holds pickles, and whoever restores it runs what they say. So it is enciphered and authenticated under a
key that only the data directory of the person who runs the study holds, and opened nowhere else: a folder of results
that somebody sent runs nothing.
"""

from __future__ import annotations

import hashlib
import zipfile
from base64 import urlsafe_b64encode
from datetime import datetime
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from pyarrow import fs
from ray.tune import Callback

from cohorts import storage
from cohorts.user_data import kept_key, user_data
from tuner.asha import StudyASHA
from tuner.errors import StudyError

# Tune writes these four, the start of the run in place of the star, and restores the newest of each.
STATE_FILES = ("experiment_state-*.json", "search_gen_state-*.json", "searcher-state-*.pkl", "callback-states-*.pkl")

KEY_FILE = "studies.key"


def seal_of(study: str, search: str) -> Fernet:
    """What closes and opens the snapshots of one search of one study of this person.

    Raises:
        StudyError: the key cannot be kept.
    """
    file = user_data() / KEY_FILE
    try:
        key = kept_key(file)
    except OSError as error:
        raise StudyError(
            f"The key by which a study knows its own files again cannot be kept in {file} ({error.strerror}). Make "
            "that place writable, or set the environment variable DPGAN_TUNE_DATA."
        ) from None
    content = f"snapshots of {search} of {study}".encode()
    return Fernet(urlsafe_b64encode(hashlib.blake2b(content, key=key, digest_size=32).digest()))


class Snapshots(Callback):
    """Saves the experiment whenever a trial was added, saved its checkpoint, or ended.

    Tune's own way is a copy at most every ten seconds, file by file over the last one: a kill loses those seconds,
    and one in mid-copy leaves files of two moments, or half a file, with which Tune starts the experiment anew.
    Here the files of one moment go into one archive, which replaces the last in a single step.

    Args:
        scheduler: knows what can save the experiment.
        file: the sealed archive.
        seal: from ``seal_of``.
    """

    def __init__(self, scheduler: StudyASHA, file: Path, seal: Fernet) -> None:
        self._scheduler, self._file, self._seal = scheduler, file, seal
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
        archive = BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            for name in STATE_FILES:
                files.write(staged.with_name(name.replace("*", session)), name)
        storage.write_bytes(self._file, self._seal.encrypt(archive.getvalue()), private=True)


def put_back(file: Path, experiment: str, seal: Fernet) -> None:
    """Make an archive's state the one that Tune restores.

    Args:
        file: an archive that ``Snapshots`` wrote.
        experiment: Tune's experiment directory, an absolute path or a URI.
        seal: from ``seal_of``.

    Raises:
        StudyError: there is no such directory, or the archive is not one that this person's study wrote.
    """
    try:
        content = seal.decrypt(file.read_bytes())
    except InvalidToken:
        raise StudyError(
            f"{file} was not written by this user's own study: its seal does not fit the key in "
            f"{user_data() / KEY_FILE}. It could run anything when it is restored, so it was not opened. Resume the "
            "study as the user who began it, with the same data directory (DPGAN_TUNE_DATA), or begin a new one."
        ) from None
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
    with zipfile.ZipFile(BytesIO(content)) as archive:
        for name in STATE_FILES:
            with filesystem.open_output_stream(f"{directory}/{name.replace('*', now)}") as stream:
                stream.write(archive.read(name))
