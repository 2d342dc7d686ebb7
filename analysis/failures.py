"""Trials of a search that failed for good, and when there are too many of them."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.epochs import trial_lines
from analysis.errors import AnalysisError
from analysis.study import StudyDirectory, StudySettings
from privacy.policies import Stage
from trainables.trial_log import Ended, TrialLog


@dataclass(frozen=True)
class Failures:
    """How many of a search's trials failed for good.

    Args:
        failed: those.
        ended: all trials.
    """

    failed: int
    ended: int

    @classmethod
    def of(cls, directory: StudyDirectory, stage: Stage) -> Failures:
        """Of a study's last search; how secret runs went is not looked at."""
        if stage.runs:
            return cls(0, 0)
        lines = trial_lines(TrialLog(directory.trial_log(stage.name)))
        ended = {line.trial: line.ended for line in lines if isinstance(line, Ended)}
        return cls(sum(each == "failed" for each in ended.values()), len(ended))

    def check(self, directory: StudyDirectory, settings: StudySettings, stage: Stage) -> None:
        """Raise AnalysisError where most trials failed: what is left of such a search is not what was asked for."""
        if 2 * self.failed > self.ended:
            raise AnalysisError(
                f"{self.failed} of the {self.ended} trials of the study {settings.study} failed for good, so its "
                f"release would be made of what few are left. Why they failed stands in error.txt of their folders "
                f"under {directory.experiment(settings, stage.name)}. Mend the cause and begin another study, or "
                f"release what there is: python -m analysis {directory.path} --release-anyway"
            )
