"""What must outlive a study, in the user's own data directory: ledgers and keys."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import platformdirs

KEY_BYTES = 32


def user_data() -> Path:
    """Where it is kept: DPGAN_TUNE_DATA, or the user's data directory."""
    override = os.environ.get("DPGAN_TUNE_DATA")
    return Path(override) if override else platformdirs.user_data_path("dpgan-tune")


def kept_key(path: Path) -> bytes:
    """A key of ``KEY_BYTES``, drawn once from the operating system and kept, readable by its owner alone.

    A file that was damaged is given back as it is; who uses it says what that means.

    Raises:
        OSError: it cannot be written or read.
    """
    if not path.exists():
        _create_once(path, secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()


def _create_once(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, readable by its owner alone; of several writers the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mkstemp creates it with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        Path(name).unlink()
