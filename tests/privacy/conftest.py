"""Ledgers of a test alone, which several files of tests ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.privacy.ledgers import ledger_with


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, in which no ledger was begun."""
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def secret(data_home: Path) -> Path:
    """The ledger of the cohort ``secret``, whose participants are P0 to P59: four epochs were charged."""
    ledger = ledger_with(4)
    ledger.close()
    return ledger.file
