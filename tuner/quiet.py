"""What Ray and Optuna would say while a study runs goes to a file, or nowhere."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning

# Not "ray" itself: ray.init takes that one's handlers away.
RAY_LOGGERS = ("ray._private", "ray.air", "ray.autoscaler", "ray.train", "ray.tune", "ray.util")


def quiet_ray(log: Path | None = None) -> dict[str, Any]:
    """Keep the words of Ray and Optuna out of the terminal; call before ``ray.init``.

    Args:
        log: file for what Ray logs in this process, None to drop it.

    Returns:
        Arguments for ``ray.init`` that keep it quiet, and its workers with it.
    """
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # Tune's newer output prints a header whatever its verbosity
    os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"  # StudyView says them in one line
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = logging.FileHandler(log, delay=True) if log else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in RAY_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # Optuna's, at the line that calls it
    for module in ("ray", "optuna"):
        warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
    return {"log_to_driver": False, "logging_level": logging.ERROR}
