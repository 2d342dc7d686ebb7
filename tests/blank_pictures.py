"""Releases with blank pictures, for tests that look at something else: to draw them is most of the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest
from matplotlib.figure import Figure
from PIL import Image


def save_blank(figure: Figure, file: BinaryIO, *, format: str, **_: object) -> None:
    """In place of ``Figure.savefig``: a white pixel, or an SVG in which nothing stands."""
    if format == "svg":
        file.write(b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
    else:
        Image.new("RGB", (1, 1), "white").save(file, format)


@contextmanager
def blank_pictures() -> Iterator[None]:
    """No figure is drawn in this block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save_blank)
        yield
