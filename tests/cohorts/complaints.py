"""What is said of a mistake in a schema's file, or in those of the trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohorts import CohortError, Schema, load_participants

VALIDATORS_WORDS = ("Input should", "validation error", "type=", "valid string", "Tuple", "Field required")


def complaint(tmp_path: Path, text: str) -> str:
    """The error of a schema, without its path at the beginning and the page that explains every key at the end."""
    path = tmp_path / "trial.yaml"
    path.write_text(text)
    with pytest.raises(CohortError) as caught:
        Schema.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert not any(words in message for words in VALIDATORS_WORDS)
    return message.removeprefix(f"{path}, ").removesuffix(" docs/cohorts.md explains every key.")


def said(path: str, data_dir: Path | None = None) -> str:
    """The error of a trial that cannot be loaded."""
    with pytest.raises(CohortError) as caught:
        load_participants(path, data_dir)
    return str(caught.value)


def refusal(path: str, *parts: object, data_dir: Path | None = None) -> None:
    """That error is one paragraph, which names each of the parts."""
    message = said(path, data_dir)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
