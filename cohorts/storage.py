"""Files and directories that a crash leaves as they were or as they shall be, never half."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def private_files() -> Iterator[None]:
    """Whatever this process and its children make in this block, only this user may read, whatever the umask."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def make_private_folder(folder: Path) -> None:
    """Make a folder, where there is none, that only this user may enter; see ``share_with_group``."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            share_with_group(folder)


def begin_private_file(file: Path) -> bool:
    """Make an empty file that only this user may read (see ``share_with_group``); False where there is one."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    share_with_group(file)
    return True


def share_with_group(path: Path) -> None:
    """Let a group have what this process has just made in a folder that the group shares, whatever the umask.

    Such a folder is writable by its group and hands that group down (mode 2770); elsewhere nothing is changed.
    """
    mode = path.parent.stat().st_mode
    if mode & stat.S_ISGID and mode & stat.S_IWGRP:
        path.chmod(0o2770 if path.is_dir() else 0o660)


def write_bytes(file: Path, content: bytes, private: bool = False) -> None:
    """Write a file whole or not at all; an older one of that name stays until the new one is durable.

    Args:
        file: to write; its folder must exist.
        content: of it.
        private: whether only this user may read it.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if not private:
            temporary.chmod(0o666 & ~_umask())
        temporary.replace(file)
        sync(file.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(file: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    write_bytes(file, text.encode())


@contextmanager
def replaced_directory(target: Path) -> Iterator[Path]:
    """A new empty directory that takes the place of `target` when the block ends well.

    If the block raises, or the process is killed, `target` is as it was; what a killed process left beside it
    is removed by the next call.

    Args:
        target: the directory to replace, or to make; its parent must exist.

    Yields:
        The directory to fill, a sibling of `target`.
    """
    prefix = f".{target.name}-"
    for abandoned in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    building = Path(tempfile.mkdtemp(dir=target.parent, prefix=prefix))
    try:
        yield building
        building.chmod(0o777 & ~_umask())
        _sync_all(building)
        if target.exists():
            _exchange(building, target)
        else:
            building.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Swap two directories: in one step where the system can, else in two that undo themselves on error."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(None, use_errno=True)
            arguments = (_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE)
            if library.renameat2(*arguments) == 0:
                return
    aside = new.with_name(f"{new.name}-old")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's list of files, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_all(directory: Path) -> None:
    """Make everything in a directory durable before it is put in place."""
    for file in directory.rglob("*"):
        if file.is_file():
            sync(file)
    sync(directory)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
