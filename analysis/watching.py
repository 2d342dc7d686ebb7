"""The release's figures beside its trials, for Optuna's dashboard."""

from __future__ import annotations

import json
from pathlib import Path

from analysis.study import StudyDirectory

KEY = "artifacts:"
"""Begins the name of each artifact of a study in Optuna's database."""
PATIENCE_S = 10
"""How long another process may hold the database."""


def show_figures(directory: StudyDirectory) -> str:
    """Make the figures of the release artifacts of the study that Optuna knows; those of an earlier one are replaced.

    They are copies of what lies in ``release/``, so that they show synthetic participants alone.

    Args:
        directory: the study, released.

    Returns:
        Why there are none, as a sentence; empty where they are there, or where Optuna knows of no study.
    """
    from optuna.exceptions import OptunaError  # here, so that --help need not wait for it
    from sqlalchemy.exc import SQLAlchemyError

    if not directory.database.is_file():
        return ""
    try:
        _store(directory.database, directory.artifacts, sorted(directory.release.glob("*.png")))
    except (KeyError, OSError, OptunaError, RuntimeError, SQLAlchemyError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f"The release is complete, but Optuna's dashboard will not show its figures: {reason}"
    return ""


def _store(database: Path, folder: Path, pictures: list[Path]) -> None:
    import optuna
    from optuna.artifacts import FileSystemArtifactStore, upload_artifact

    engine = {"connect_args": {"timeout": PATIENCE_S}}
    kept = optuna.storages.RDBStorage(f"sqlite:///{database.resolve()}", engine_kwargs=engine)
    studies = kept.get_all_studies()
    if not studies:
        return
    name = studies[-1].study_name  # of the last search, which the release is made from
    attributes = kept.get_study_system_attrs(kept.get_study_id_from_name(name))
    found = {key: json.loads(text) for key, text in attributes.items() if key.startswith(KEY)}
    known = {each["filename"]: each["artifact_id"] for each in found.values() if each}  # one somebody removed is null
    study = optuna.load_study(study_name=name, storage=kept)
    folder.mkdir(mode=0o700, exist_ok=True)
    store = FileSystemArtifactStore(folder)
    for key, each in found.items():
        if each and each["filename"] not in {picture.name for picture in pictures}:
            kept.set_study_system_attr(study._study_id, key, json.dumps(None))  # as the dashboard does it
            store.remove(each["artifact_id"])
    for picture in pictures:
        if picture.name in known:
            with picture.open("rb") as content:
                store.write(known[picture.name], content)
        else:
            upload_artifact(artifact_store=store, file_path=str(picture), study_or_trial=study)
