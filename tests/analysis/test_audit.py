"""The audit of scores, of a whole study and of a release holds for the code as it is, and fails for broken code."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from analysis.auditing import audit
from analysis.auditing.audit import DELTA, SCORES, audit_scores, main
from analysis.auditing.bounds import attack_auc
from analysis.auditing.measurements import AUDITED, audit_measurements, audited
from analysis.auditing.membership import closeness, likelihood_ratio
from analysis.auditing.study_canaries import StudyAudit, audit_study
from analysis.build import build_release
from privacy.ledger.ledger import Ledger
from privacy.mechanisms.auc import NoisyScores, floored_auc
from privacy.mechanisms.measurements import Measurements
from trainables.gan import opacus_engine
from trainables.gan.packed import steps

TWO, THREE = SCORES.values()


@pytest.mark.parametrize("scores", [TWO, pytest.param(THREE, marks=pytest.mark.slow)], ids=SCORES)
def test_the_noise_of_scores_is_what_is_charged(scores, monkeypatch):
    monkeypatch.setattr(audit, "RELEASES", 3_000)
    finding = audit_scores(scores)
    assert finding.holds
    shown = float(finding.found.split()[-1])
    assert shown > 0.5 * float(finding.stated.split()[-1])  # the attack is worth something


class WithoutNoise(NoisyScores):
    def release(self, rankings, labels):
        return np.array([floored_auc(rankings[0], labels, self.floors)])


class ScaledByTrueCounts(NoisyScores):
    """The noise one would add who took the true class counts for the floors."""

    def release(self, rankings, labels):
        sd = (
            self.noise_sd
            * min(self.floors.of_each[0].positive, self.floors.of_each[0].negative)
            / max((labels == 0).sum(), 1)
        )
        noise = np.random.default_rng().normal(0, sd)
        return np.clip([floored_auc(rankings[0], labels, self.floors) + noise], 0, 1)


class HalfTheNoise(NoisyScores):
    def release(self, rankings, labels):
        return NoisyScores(self.floors, self.classifiers, self.noise_sd / 2).release(rankings, labels)


@pytest.mark.parametrize(
    ("broken", "charged"),
    [(WithoutNoise, TWO), (ScaledByTrueCounts, TWO), (HalfTheNoise, TWO), (WithoutNoise, THREE), (HalfTheNoise, THREE)],
)
def test_scores_without_the_noise_that_is_charged_are_refuted(broken, charged, monkeypatch):
    """Of three classes half of it is what whoever thought that a participant moves the AUC of one class alone adds."""
    monkeypatch.setattr(audit, "RELEASES", 2_000)  # fewer than unbroken ones have to stand
    assert not audit_scores(broken(charged.floors, charged.classifiers, charged.noise_sd)).holds


@pytest.mark.parametrize("engine", [pytest.param("opacus", marks=pytest.mark.slow), "packed"])
def test_guesses_about_the_canaries_of_a_whole_study_do_not_refute_its_epsilon(engine):
    small = StudyAudit(engine=engine, trials=2, epochs=1, canaries=200, others=300)
    assert audit_study(small).holds


@pytest.mark.parametrize("engine", [pytest.param("opacus", marks=pytest.mark.slow), "packed"])
def test_guesses_refute_the_epsilon_of_a_study_whose_training_adds_no_noise(monkeypatch, engine):
    """With the noise gone, what leaves the study gives canaries away."""
    for engine_module in (opacus_engine, steps):
        monkeypatch.setattr(engine_module, "hide_sum", lambda total, noise_sd, normals: None)
    told = StudyAudit(engine=engine, epsilon=0.05, trials=3, epochs=40, canaries=500, others=50)
    assert not audit_study(told).holds


def test_a_release_that_copies_its_participants_is_found_out():
    rng = np.random.default_rng(0)
    members, others = rng.normal(size=(300, 6)), rng.normal(size=(300, 6))
    copied = members + rng.normal(0, 0.01, members.shape)
    assert attack_auc(closeness(copied, members), closeness(copied, others)).low > 0.9
    assert attack_auc(likelihood_ratio(copied, members), likelihood_ratio(copied, others)).low > 0.5


def test_a_release_of_strangers_gives_nobody_away():
    rng = np.random.default_rng(0)
    members, others, strangers = rng.normal(size=(3, 300, 6))
    for attack in (closeness, likelihood_ratio):
        auc = attack_auc(attack(strangers, members), attack(strangers, others))
        assert auc.low < 0.5 < auc.high


def test_the_attack_on_a_release_is_charged_to_the_steward_and_stays_internal(study, monkeypatch, capsys):
    build_release(study, Console(quiet=True))
    monkeypatch.setattr("analysis.auditing.audit._findings", lambda *_: [])
    before = internal_charges(study)
    assert main(["--study", str(study.path)]) == 0
    assert internal_charges(study) == before + 3
    found = json.loads((study.internal / "audit.json").read_text())
    assert {0 <= auc["low"] <= auc["value"] <= auc["high"] <= 1 for auc in found.values()} == {True}
    assert "Never publish" in capsys.readouterr().out
    assert not (study.release / "audit.json").exists()


def internal_charges(study) -> int:
    from cohorts import resolve_schema
    from privacy.ledger.places import ledger_file

    ledger = Ledger.open(ledger_file(resolve_schema(study.settings().cohort)), read_only=True)
    return sum(getattr(entry.content, "account", "") == "internal" for entry in ledger.books.entries)


def test_a_study_without_a_release_cannot_be_attacked(study, capsys):
    assert main(["--study", str(study.path)]) == 2
    assert "no release" in capsys.readouterr().err


COMPLETE, LOSSY = AUDITED.values()
MEASURED = [pytest.param(COMPLETE, id="complete"), pytest.param(LOSSY, id="lossy", marks=pytest.mark.slow)]


TABLES = [pytest.param(False, id="without tables"), pytest.param(True, id="with tables", marks=pytest.mark.slow)]


@pytest.mark.parametrize("schema", MEASURED)
@pytest.mark.parametrize("tables", TABLES)
def test_what_is_measured_once_shows_no_more_than_is_charged(tables, schema):
    mechanism = audited(schema) if tables else replace(audited(schema), tables=None)
    finding = audit_measurements(mechanism, DELTA, releases=1_000)
    assert finding.holds
    assert float(finding.found.split()[-1]) > 0.3 * float(finding.stated.split()[-1])  # the attack is worth something


@pytest.mark.parametrize("schema", MEASURED)
@pytest.mark.parametrize("part", ["histograms", "moments", "tables"])
def test_measurements_with_less_noise_than_is_charged_are_refuted(part, schema):
    """A quarter of it."""
    charged = audited(schema) if part == "tables" else replace(audited(schema), tables=None)

    class Quiet(Measurements):
        event = charged.event

    mechanisms = {"histograms": charged.histograms, "moments": charged.moments, "tables": charged.tables}
    mechanisms[part] = replace(mechanisms[part], noise_sd=mechanisms[part].noise_sd / 4)
    assert not audit_measurements(Quiet(schema, **mechanisms), DELTA, releases=300).holds
