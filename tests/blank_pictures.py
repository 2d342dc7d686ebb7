"""Releases with blank pictures, for tests that look at something else: to draw them is most of the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest
from matplotlib.figure import Figure
from PIL import Image


def save_blank(figure: Figure, file: BinaryIO, *, format: str, **_: object) -> None:
    """In place of ``Figure.savefig``: one white pixel."""
    assert format == "png"
    Image.new("RGB", (1, 1), "white").save(file, "PNG")


@contextmanager
def blank_pictures() -> Iterator[None]:
    """No figure is drawn in this block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save_blank)
        yield
