"""Names under which a report says something else than a likeness, so that no package may call one by them."""

from __future__ import annotations

TAKEN = frozenset(
    {
        "score", "epoch", "planned_epochs", "epsilon", "ledger", "out_of_budget",  # of every epoch
        "asked_for", "best_epoch", "failure", "start", "stopped_early", "tune_trial",  # kept with the trial in study.db
        "checkpoint_dir_name", "config", "date", "done", "episodes_total", "experiment_tag", "hostname",
        "iterations_since_restore", "node_ip", "pid", "should_checkpoint", "time_since_restore", "time_this_iter_s",
        "time_total_s", "timestamp", "timesteps_since_restore", "timesteps_total", "training_iteration",
        "trial_id",  # these are Ray Tune's
    }
)  # fmt: skip
FAMILIES = ("auc_", "accuracy_", "misfit")
LOSS = "_loss"


def is_taken(name: str) -> bool:
    """Whether reports have another figure of this name, or of its kind: an AUC, an accuracy, a misfit, or a loss."""
    return name in TAKEN or name.startswith(FAMILIES) or name.endswith(LOSS)
