"""What is installed is everything that is here, with the versions it works with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, SETTINGS = PYPROJECT["project"], PYPROJECT["tool"]
NEEDED = [Requirement(each) for each in PROJECT["dependencies"]]
OPTIONAL = [Requirement(each) for extra in PROJECT["optional-dependencies"].values() for each in extra]
TOP_LEVEL = SETTINGS["importlinter"]["root_packages"]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def locked(file: Path) -> list[tuple[str, str, list[str]]]:
    """Name, version and hashes of all that a lock file names."""
    entries = re.sub(r"\s*\\\n\s*", " ", file.read_text()).splitlines()
    parts = [entry.split() for entry in entries if not entry.startswith("#")]
    return [(canonicalize_name(pin.split("==")[0]), pin.split("==")[1], hashes) for pin, *hashes in parts]


def test_every_folder_with_code_is_shipped():
    settings = SETTINGS["setuptools"]["packages"]["find"]
    with_code = {file.parent for package in TOP_LEVEL for file in (ROOT / package).rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in with_code}
    assert set(find_packages(str(ROOT), include=settings["include"])) == names


@pytest.mark.parametrize("package", TOP_LEVEL)
def test_its_types_are_seen_by_those_who_import_it(package):
    assert (ROOT / package / "py.typed").is_file()
    assert "py.typed" in SETTINGS["setuptools"]["package-data"]["*"]


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda requirement: requirement.name)
def test_every_dependency_says_the_lowest_version_that_works(requirement):
    assert {each.operator for each in requirement.specifier} & {">=", "=="}  # make test-minimum installs it


@pytest.mark.parametrize("name", ["dp-accounting", "optuna", "ray"])
def test_no_version_is_allowed_whose_private_members_nobody_has_looked_at(name):
    (requirement,) = (each for each in NEEDED if each.name == name)
    assert "<" in {each.operator for each in requirement.specifier}


def test_locked_versions_are_allowed_and_none_is_missing():
    versions = {name: version for file in LOCKS for name, version, _ in locked(file)}
    for each in [*NEEDED, *OPTIONAL]:
        if each.name != PROJECT["name"]:
            assert versions[canonicalize_name(each.name)] in each.specifier, each


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_a_file_that_was_not_locked_is_not_installed(file):
    """PyTorch alone has no hashes: each kind of device has a build of its own."""
    without = [name for name, _, hashes in locked(file) if not hashes]
    assert without == (["torch"] if file.name == "requirements-torch.lock" else [])


def test_who_cites_it_cites_this_version_under_its_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["title"], cited["version"], cited["license"]) == tuple(
        PROJECT[key] for key in ("name", "version", "license")
    )
