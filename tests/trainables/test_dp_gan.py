"""The paper's command: one configuration of its network, without a search."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, pld, rdp

from analysis.__main__ import main as analyse
from cohorts import Schema, write_cohort
from cohorts.lock import only_one
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import ledger_file
from privacy.ledger.summary import looks
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.dp_gan.__main__ import main
from trainables.dp_gan.training import Training
from trainables.generators import load_generator

EPOCHS, BATCH = 2, 120
TRAINING = 369  # 12 of 13 of the 400 that the schema names
FLAGS = ("--clip_value", "0.01", "--epochs", str(EPOCHS), "--lr", "2e-4", "--batch_size", str(BATCH))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small public trial."""
    folder = tmp_path_factory.mktemp("paper")
    schema = {**SMALL_SCHEMA, "name": "paper-small"}
    write_cohort(small_cohort(Schema.model_validate(schema), 400, 1), folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(schema))
    return folder


def command(office: Path, *flags: str) -> int:
    return main([*FLAGS, *flags, "--cohort", str(office / "small.yaml"), "--out", str(office / "results")])


def name(prefix: str, noise: str) -> str:
    return f"{prefix}{noise}_0.01_{EPOCHS}_0.0002_{BATCH}"


def statement(office: Path, prefix: str, noise: str) -> dict:
    return json.loads((office / "results" / name(prefix, noise) / "privacy_statement.json").read_text())


@pytest.fixture(scope="module")
def trained(office: Path) -> Path:
    """A run with the noise that was meant, whose epochs are scored."""
    assert command(office, "--noise", "1.5", "--prefix", "a_", "--scores") == 0
    return office / "results" / name("a_", "1.5")


@pytest.fixture(scope="module")
def unscored(office: Path) -> Path:
    """A run without noise, whose epochs are not scored."""
    assert command(office, "--noise", "0", "--prefix", "d_") == 0
    return office / "results" / name("d_", "0.0")


def test_its_epsilon_is_what_dp_accounting_says_of_the_whole_sequence(office, trained):
    stated, steps = statement(office, "a_", "1.5"), EPOCHS * round(TRAINING / BATCH)
    event = SelfComposedDpEvent(PoissonSampledDpEvent(BATCH / TRAINING, GaussianDpEvent(1.5)), steps)
    by_rdp = rdp.RdpAccountant().compose(event).get_epsilon(1e-5)
    by_pld = pld.PLDAccountant(value_discretization_interval=1e-4).compose(event).get_epsilon(1e-5)
    assert (stated["steps"], stated["sampling_rate"]) == (steps, BATCH / TRAINING)
    assert stated["epsilon_by_rdp"] == pytest.approx(by_rdp)
    assert stated["epsilon"] == stated["epsilon_by_pld"] == pytest.approx(by_pld, rel=1e-3)
    assert stated["epsilon"] < stated["epsilon_by_rdp"]
    checked = subprocess.run([sys.executable, "check_epsilon.py"], cwd=trained, capture_output=True, text=True)
    assert f"train participants: epsilon {by_rdp:.4g} " in checked.stdout


def test_the_generator_of_every_epoch_is_kept_and_nothing_that_training_would_go_on_from(trained):
    drawn = []
    for epoch in range(1, EPOCHS + 1):
        generator, _ = load_generator(trained / "trials" / "dp_gan" / f"epoch_{epoch:06d}")
        drawn.append(generator.generate(50, torch.Generator().manual_seed(1)).values)
    assert (drawn[0] != drawn[1]).any()
    assert not (trained / "state.pt").exists()


def test_losses_by_epoch_are_internal(trained):
    lines = [json.loads(line) for line in (trained / "internal" / "losses.jsonl").read_text().splitlines()]
    assert [(line["trial"], line["epoch"]) for line in lines] == [("dp_gan", 1), ("dp_gan", 2)]
    assert all(0 < line[network] < 10 for line in lines for network in ("discriminator", "generator"))


def test_losses_of_private_participants_are_kept_only_where_scores_leave_no_epsilon_for_later_studies(
    tmp_path, office, monkeypatch
):
    schema = {**yaml.safe_load((office / "small.yaml").read_text()), "name": "paper-closed", "public": False}
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "data"))
    write_cohort(small_cohort(Schema.model_validate(schema), 400, 3), tmp_path)
    (tmp_path / "private.yaml").write_text(yaml.safe_dump(schema))
    asked = [*FLAGS, "--noise", "1.5", "--cohort", str(tmp_path / "private.yaml"), "--out", str(tmp_path / "out")]
    assert main([*asked, "--prefix", "f_", "--new-ledger"]) == 0
    assert not list(tmp_path.glob("out/*/internal/losses.jsonl"))
    assert main([*asked, "--prefix", "g_", "--scores"]) == 0
    (kept,) = tmp_path.glob("out/*/internal/losses.jsonl")
    assert kept.parts[-3].startswith("g_")
    ledger = Ledger.open(ledger_file(Schema.model_validate(schema)), read_only=True)
    looked = [entry for entry in ledger.books.entries if getattr(entry.content, "account", "") == "internal"]
    assert [(entry.study, entry.content.split) for entry in looked] == [(kept.parts[-3], "train")]
    assert looks(ledger.books.entries) == 1  # a later statement says so


def test_a_run_whose_epochs_were_scored_can_be_released_as_a_study_is(trained):
    assert analyse([str(trained)]) == 0
    released = json.loads((trained / "release" / "privacy_statement.json").read_text())
    assert (released["policy"], released["trials"], released["accounted"]) == ("unaccounted", 1, False)
    assert "NOT covered" in released["statement"]
    assert not any("losses" in file.name for file in (trained / "release").iterdir())


def test_noise_as_it_was_published_is_charged_as_none_and_the_statement_says_what_it_is(office):
    flags = ("--clip_value", "0.001", "--epochs", "1", "--noise", "1", "--paper-noise", "published", "--prefix", "b_")
    assert command(office, *flags) == 0
    (folder,) = (office / "results").glob("b_*")
    stated = json.loads((folder / "privacy_statement.json").read_text())
    assert stated["noise_multiplier"] == 0.001, "noise x clip_value^2, in units of clip_value"
    assert stated["epsilon"] == "infinity"
    text = (folder / "privacy_statement.md").read_text()
    assert "not differentially private: its noise has a standard deviation of only 0.001 clip norms" in text
    one_step = rdp.RdpAccountant().compose(GaussianDpEvent(0.001)).get_epsilon(1e-5)
    assert f"A single step on a batch that holds a participant has epsilon {one_step:.2g}" in text


def test_without_noise_it_is_the_papers_counterpart_that_protects_nobody(office, unscored):
    stated = statement(office, "d_", "0.0")
    assert stated["epsilon"] == "infinity" and "it added no noise" in stated["statement"]


def test_the_generator_is_averaged_only_where_that_is_asked_for(office, trained):
    assert command(office, "--noise", "0", "--prefix", "e_", "--scores", "--averaging", "0.9") == 0
    for folder, decay in ((trained, 0), (office / "results" / name("e_", "0.0"), 0.9)):
        epoch = json.loads((folder / "trials.jsonl").read_text().splitlines()[0])
        assert epoch["config"]["generator_averaging"] == decay


def test_a_private_cohorts_ledger_is_not_begun_unasked(tmp_path, office, capsys):
    schema = {**yaml.safe_load((office / "small.yaml").read_text()), "name": "paper-private", "public": False}
    write_cohort(small_cohort(Schema.model_validate(schema), 400, 2), tmp_path)
    (tmp_path / "private.yaml").write_text(yaml.safe_dump(schema))
    asked = [*FLAGS, "--noise", "1", "--cohort", str(tmp_path / "private.yaml"), "--out", str(tmp_path / "out")]
    assert main(asked) == 2
    assert "--new-ledger" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    earlier = tmp_path / "out" / "earlier"
    earlier.mkdir(parents=True)
    (earlier / "run.json").write_text(json.dumps({"cohort": str(tmp_path / "private.yaml")}))
    assert main([*asked, "--new-ledger"]) == 2
    assert "holds an earlier study of the cohort paper-private" in " ".join(capsys.readouterr().err.split())
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["earlier"]


def test_epochs_that_were_not_scored_cannot_be_picked_from(unscored, capsys):
    assert analyse([str(unscored)]) == 2
    assert "was trained without --scores" in " ".join(capsys.readouterr().err.split())


def test_a_run_that_another_process_is_at_is_refused(office, trained, capsys):
    with only_one(trained, RuntimeError):
        assert command(office, "--noise", "1.5", "--prefix", "a_", "--scores", "--resume") == 2
    assert f"being run by process {os.getpid()}" in " ".join(capsys.readouterr().err.split())


def test_a_run_whose_classifiers_are_not_installed_is_not_gone_on_with(office, trained, tmp_path, capsys):
    here = tmp_path / "results" / trained.name
    shutil.copytree(trained, here)
    run = json.loads((here / "run.json").read_text())
    assert run["scored_by"] == ["logistic_regression", "random_forest"]
    (here / "run.json").write_text(json.dumps({**run, "scored_by": ["naive_bayes", *run["scored_by"]]}))
    flags = ("--noise", "1.5", "--prefix", "a_", "--scores", "--resume", "--cohort", str(office / "small.yaml"))
    assert main([*FLAGS, *flags, "--out", str(here.parent)]) == 2
    assert "install the package that adds naive_bayes" in " ".join(capsys.readouterr().err.split())
    assert analyse([str(here)]) == 2
    assert "install the package that adds naive_bayes" in " ".join(capsys.readouterr().err.split())


def test_an_interrupted_run_goes_on_where_it_was_and_pays_for_each_step_once(office, capsys, monkeypatch):
    monkeypatch.setattr("trainables.dp_gan.training.STRETCH_STEPS", 1)
    trained = Training._stretches

    def interrupted(self):
        for stretch in trained(self):
            if self.steps_done == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            yield stretch

    flags = ("--noise", "1.5", "--prefix", "i_")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_stretches", interrupted)
        assert command(office, *flags) == 130
    assert "What was trained is kept" in capsys.readouterr().out
    folder = office / "results" / name("i_", "1.5")
    told = [json.loads(line) for line in (folder / "receipts.jsonl").read_text().splitlines()]
    assert {each["cohort"] for each in told} == {"paper-small"}
    assert len({each["count"] for each in told}) == 4, "a receipt of each payment, before it is trained"
    kept = torch.load(folder / "state.pt", weights_only=True)
    assert (kept["epoch"], kept["steps"], kept["engine"]["steps"]) == (1, 1, 4)

    assert command(office, *flags) == 2, "an existing run is not begun again"
    assert command(office, *flags, "--resume", "--engine", "opacus") == 2
    assert "begun with another --engine" in capsys.readouterr().err
    assert command(office, *flags, "--resume") == 0
    stated = statement(office, "i_", "1.5")
    assert stated["steps"] == EPOCHS * 3

    assert command(office, *flags, "--resume") == 0, "a run that is over says so once more"
    assert statement(office, "i_", "1.5") == stated


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--noise", "1", "--clip_value", "0"], "Give --clip_value"),
        (["--lr", "0"], "--lr 0.0"),
        (["--noise", "nan"], "--noise nan cannot be used: it must be a finite number"),
        (["--noise", "-1"], "--noise -1.0 cannot be used: it must be 0 or more"),
        (["--clip_value", "-1"], "--clip_value -1.0 cannot be used: it must be 0 or more"),
        (["--noise", "1", "--clip_value", "-1"], "--clip_value -1.0 cannot be used: it must be 0 or more"),
        (["--lr", "-1"], "--lr -1.0 cannot be used: it must be above 0"),
        (["--averaging", "1"], "--averaging 1.0 cannot be used: it must be below 1"),
        (["--epochs", "0"], "--epochs 0"),
        (["--batch_size", "4000"], "--batch_size 4000"),
        (["--prefix", "../elsewhere"], "../elsewhere"),
        (["--delta", "0.5"], "--delta 0.5"),
        (["--resume"], "to resume"),
        (["--cohort", "actg175"], "compact network"),
        (["--cohort", str(Path(__file__).parent)], "is a folder"),
        (["--data", __file__], "is a file. Give the folder"),
        (["--out", __file__], "a file is in its place"),
        (["--ledger", str(Path(__file__).parent)], "is a folder, and a ledger is a file"),
        (["--ledger", __file__], "is no ledger"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing_behind(tmp_path, office, capsys, flags, named):
    assert main([*FLAGS, "--cohort", str(office / "small.yaml"), "--out", str(tmp_path / "out"), *flags]) == 2
    assert named in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_it_reads_training_participants_alone_unless_asked_for_scores(trained, unscored, users_data):
    ledger = Ledger.open(users_data / "cohorts" / "paper-small" / "ledger.db", read_only=True)
    charges = [each for _, each in ledger.books.release_charges() if isinstance(each, Charge)]
    assert {each.split for each in charges if each.study == unscored.name} == {"train"}
    assert {each.split for each in charges if each.study == trained.name} == {"train", "validation"}
