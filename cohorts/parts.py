"""What every part of a schema is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

Category = StrictStr | StrictInt | StrictFloat
Name = Annotated[str, Field(min_length=1)]


NO_TABLE = "(computed)"
"""The table of what stands in no file."""


class Frozen(BaseModel):
    """A part of a schema: immutable, and a stranger to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)
