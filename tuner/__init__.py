"""The study: Optuna, ASHA, Ray Tune; `from tuner import Study` runs one from Python.

`Study` is imported when first asked for, and brings PyTorch and Ray only once a study is planned or run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.api import Release, Study

__all__ = ["Release", "Study"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from tuner import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
