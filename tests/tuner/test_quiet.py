"""A study keeps its libraries out of the terminal."""

import logging

import pytest

from tuner import quiet
from tuner.quiet import quiet_ray


@pytest.fixture
def rays_loggers():
    """Leave Ray's loggers as they were."""
    loggers = [logging.getLogger(name) for name in quiet.RAY_LOGGERS]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_what_ray_logs_goes_to_a_file_instead_of_the_terminal(rays_loggers, monkeypatch, tmp_path, capfd):
    for variable in ("RAY_AIR_NEW_OUTPUT", "TUNE_PRINT_ALL_TRIAL_ERRORS", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(variable, "")
    quiet_ray(tmp_path / "ray.log")
    logging.getLogger("ray.tune.tune").warning("Checkpoint successfully created")
    assert "Checkpoint successfully created" in (tmp_path / "ray.log").read_text()
    assert capfd.readouterr() == ("", "")
