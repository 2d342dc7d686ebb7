"""One trial of the study: a Ray Tune trainable that goes from scored epoch to scored epoch and reports each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pyarrow.fs import FileType
from ray import tune
from ray.tune.trainable.trainable import _DICT_CHECKPOINT_FILE_NAME as PICKLED


class Running(Protocol):
    """A trial under way, in this process or in another."""

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch, score it, and say what Tune is told; see ``Progress.step``."""

    def save(self, directory: Path) -> None:
        """Write the generator and the state that training goes on from."""

    def load(self, directory: Path) -> None:
        """Go on where ``save`` stopped."""

    def end(self) -> None:
        """Forget it."""


class Trials(Protocol):
    """Where trials run."""

    def begin(self, name: str, config: Mapping[str, Any]) -> Running:
        """A new trial with a configuration."""


class DPGANTrial(tune.Trainable):
    """One configuration, trained until its budget or the longest training is reached.

    Nothing heavy is imported here: where trials are packed, their work is done by other processes, and this one only
    asks for it.
    """

    def __repr__(self) -> str:
        """What Ray's dashboard calls this process, whose trials come one after another."""
        return f"trial {self.trial_id} and those after it"

    def setup(self, config: dict[str, Any], trials: Trials) -> None:  # type: ignore[override]
        """Take a configuration."""
        self._trials, self._config = trials, config
        self._begun: Running | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another configuration into this process, sparing its start-up."""
        self.cleanup()
        self._config = new_config
        return True

    @property
    def _running(self) -> Running:
        """The configuration under way. It begins when it is asked for something.

        Only then does Tune count the trial as running, and make up for a process that was lost.
        """
        if self._begun is None:
            self._begun = self._trials.begin(self.trial_id, self._config)
        return self._begun

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch, score it, report it; or end where the study's budget does."""
        return self._running.step()

    def restore(self, checkpoint_path: Any) -> None:
        """Go on from a checkpoint of ours, which holds nothing that Ray would unpickle.

        Raises:
            RuntimeError: it does, so somebody else put it there.
        """
        checkpoint = getattr(checkpoint_path, "checkpoint", checkpoint_path)
        if checkpoint.filesystem.get_file_info(f"{checkpoint.path}/{PICKLED}").type != FileType.NotFound:
            raise RuntimeError(f"{checkpoint.path} holds {PICKLED}, which no trial writes and Ray would run.")
        super().restore(checkpoint_path)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the generator and the state that training goes on from."""
        self._running.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Go on where a checkpoint stopped."""
        self._running.load(Path(checkpoint_dir))

    def cleanup(self) -> None:
        """Forget the configuration."""
        if self._begun is not None:
            self._begun.end()
            self._begun = None
