"""A trial that reports and does nothing: for what Ray Tune itself takes."""

from __future__ import annotations

from typing import Any

from ray import tune


class EmptyTrial(tune.Trainable):
    """Reports as often as it is told, and saves empty checkpoints."""

    def setup(self, config: dict[str, Any], reports: int) -> None:  # type: ignore[override]
        """Nothing to build."""
        self._reports = self._left = reports

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin again."""
        self._left = self._reports
        return True

    def step(self) -> dict[str, Any]:
        """Report."""
        self._left -= 1
        return {"score": 0.5, "done": self._left == 0}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""
