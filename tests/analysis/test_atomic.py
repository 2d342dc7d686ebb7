import os

import pytest

from cohorts.storage import replaced_directory, write_text


def names(directory):
    return sorted(file.name for file in directory.iterdir())


@pytest.fixture
def target(tmp_path):
    target = tmp_path / "release"
    with replaced_directory(target) as building:
        (building / "old").write_text("old")
    return target


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_replaced_directory_holds_only_what_is_new(target, monkeypatch, platform):
    monkeypatch.setattr("sys.platform", platform)
    with replaced_directory(target) as building:
        (building / "new").write_text("new")
    assert names(target) == ["new"]
    assert names(target.parent) == ["release"]


def test_a_crash_in_the_middle_leaves_the_old_directory_and_nothing_beside_it(target):
    with pytest.raises(KeyboardInterrupt), replaced_directory(target) as building:
        (building / "new").write_text("half")
        raise KeyboardInterrupt
    assert names(target) == ["old"]
    assert names(target.parent) == ["release"]


def test_what_a_killed_process_left_is_removed_by_the_next(target):
    abandoned = target.parent / ".release-abandoned"
    abandoned.mkdir()
    (abandoned / "half").write_text("half")
    with replaced_directory(target) as building:
        (building / "new").write_text("new")
    assert names(target.parent) == ["release"]


def test_a_crash_while_writing_a_file_leaves_the_old_one(tmp_path, monkeypatch):
    file = tmp_path / "table.json"
    write_text(file, "old")

    def full_disk(handle):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_text(file, "new")
    assert file.read_text() == "old"
    assert names(tmp_path) == ["table.json"]
