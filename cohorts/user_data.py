"""What must outlive a study, in the user's own data directory or a site's shared one: ledgers and keys."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import platformdirs
import yaml

from cohorts import storage
from cohorts.errors import CohortError

KEY_BYTES = 32

DATA, LEDGERS = "DPGAN_TUNE_DATA", "DPGAN_TUNE_LEDGERS"
SITE_FILE = Path("/etc/dpgan-tune.yaml")
SITE_KEY = "ledgers"


def user_data() -> Path:
    """Where what belongs to one user is kept: DPGAN_TUNE_DATA, or the user's data directory."""
    override = os.environ.get(DATA)
    return Path(override) if override else platformdirs.user_data_path("dpgan-tune")


def ledgers_folders() -> tuple[Path, ...]:
    """Folders in which each cohort has a folder of its own, with its ledger and its keys: new ones go into the first.

    That is DPGAN_TUNE_LEDGERS, or else what SITE_FILE says, unless DPGAN_TUNE_DATA is set; the last is in the user's
    own data directory.

    Raises:
        CohortError: a site's folder is named, and is not there.
    """
    own = user_data() / "cohorts"
    named = os.environ.get(LEDGERS)
    if named:
        return _there(Path(named), f"The environment variable {LEDGERS}"), own
    site = None if os.environ.get(DATA) else _site_folder()
    return (site, own) if site else (own,)


def _site_folder() -> Path | None:
    """What the site's file says; None where there is no such file."""
    try:
        said = yaml.safe_load(SITE_FILE.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CohortError(f"{SITE_FILE} cannot be read ({type(error).__name__}). Have it mended.") from None
    folder = said.get(SITE_KEY) if isinstance(said, dict) and set(said) == {SITE_KEY} else None
    if not isinstance(folder, str):
        raise CohortError(f"{SITE_FILE} must say one thing: `{SITE_KEY}: /PATH/OF/A/FOLDER`. Have it mended.")
    return _there(Path(folder), str(SITE_FILE))


def _there(folder: Path, who: str) -> Path:
    if not (folder.is_absolute() and folder.is_dir()):
        raise CohortError(
            f"{who} names {folder} as the folder of all ledgers, and that is not an absolute path of a folder. Have it "
            "made (install -d -m 2770 -g GROUP FOLDER, with the group of those who share it), or mend the path."
        )
    return folder


def is_there(path: Path) -> bool:
    """Whether a ledger or a key is where it would be.

    Raises:
        CohortError: this account may not look.
    """
    try:
        return path.exists()
    except PermissionError:
        raise CohortError(
            f"{path.parent} may not be entered by this account. A cohort's ledger or its keys may be there, so nothing "
            "is begun elsewhere. Have its owner share it with a group that you are in (chmod 2770)."
        ) from None


def kept_key(path: Path) -> bytes:
    """A key of ``KEY_BYTES``, drawn once from the operating system and kept, readable by its owner alone.

    A file that was damaged is given back as it is; who uses it says what that means.

    Raises:
        OSError: it cannot be written or read.
    """
    return path.read_bytes() if path.exists() else write_once(path, secrets.token_bytes(KEY_BYTES))


def write_once(path: Path, content: bytes) -> bytes:
    """Write a private file whole or not at all; of several writers the first wins. Gives back what it holds then.

    Raises:
        OSError: it cannot be written or read.
    """
    storage.make_private_folder(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mkstemp creates it with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        storage.share_with_group(Path(name))
        try:
            os.link(name, path)
        except FileExistsError:
            return path.read_bytes()
    finally:
        Path(name).unlink()
    return content
