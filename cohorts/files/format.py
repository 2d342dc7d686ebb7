"""What a schema may say about a file that the file itself does not say."""

from __future__ import annotations

import codecs
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, field_validator


class Format(BaseModel):
    """How a file is to be read and a synthetic one written; what is left out is found from the file.

    Args:
        separator: between the fields of a text file, one character.
        decimal: a comma or a point, in a text file.
        encoding: of a text file, such as latin-1, windows-1252 or utf-16.
        sheet: of a workbook; the first if none is named.
        missing_values: what stands for a missing value anywhere in the file, besides what always does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    separator: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[",", "."] | None = None
    encoding: str | None = None
    sheet: str | None = None
    missing_values: tuple[StrictStr | StrictInt | StrictFloat, ...] = ()

    @field_validator("separator")
    @classmethod
    def _separates(cls, separator: str | None) -> str | None:
        if separator is not None and (separator.isalnum() or separator in "\"'\r\n.-"):
            raise ValueError(f'{separator!r} cannot separate fields; comma, semicolon, tab ("\\t") and | can')
        return separator

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            found = codecs.lookup(encoding) if encoding is not None else None
        except (LookupError, ValueError):
            found = None
        if encoding is not None and (found is None or not getattr(found, "_is_text_encoding", True)):
            raise ValueError(f"there is no encoding {encoding!r}; known are utf-8, latin-1, windows-1252, utf-16, ...")
        return encoding
