import hashlib
import io
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import time_machine
from dp_accounting import NonPrivateDpEvent
from rich.console import Console

from analysis import AnalysisError, build_release, release
from analysis.figures import Panel
from analysis.quality.gate import not_judged
from analysis.release import Judged, Manifest, write_release
from analysis.report import print_report
from analysis.reports.blocks import Report
from cohorts import load_participants
from privacy.accounting.events import composed
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.ledger.study_record import check_record
from privacy.policies.unaccounted import Unaccounted
from privacy.statements.statement import Chosen
from tests.analysis.conftest import change_settings, placed, write_trial_files

QUIET = Console(quiet=True)
UNDRAWN = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture(scope="module")
def built(finished, tmp_path_factory):
    """The finished study with its release, and the summary; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        return build_release(placed(finished, tmp_path_factory.mktemp("built"), patch), QUIET)


@pytest.fixture
def released(built, tmp_path, monkeypatch):
    """A copy of the study of `built`, with all that belongs to it."""
    return placed(built.directory.path.parent.parent, tmp_path, monkeypatch)


def contents(directory, but=()):
    """Every file of a release."""
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.name not in but}


def test_the_manifest_lists_every_file_with_its_checksum_and_rows(built):
    manifest = json.loads((built.directory.release / "manifest.json").read_text())
    found = contents(built.directory.release, but=["manifest.json", "SHA256SUMS"])
    assert {file["path"] for file in manifest["files"]} == set(found)
    for file in manifest["files"]:
        assert file["sha256"] == hashlib.sha256(found[file["path"]]).hexdigest()
        assert file["bytes"] == len(found[file["path"]])
    rows = {file["path"]: file["rows"] for file in manifest["files"]}
    assert rows["visits-unaccounted.csv"] == rows["visits-unaccounted.parquet"] == 400 * 3
    assert rows["privacy_statement.md"] is None


def test_the_manifest_says_what_the_release_costs(built):
    manifest = Manifest.model_validate_json((built.directory.release / "manifest.json").read_bytes())
    assert manifest == built.manifest
    assert (manifest.study, manifest.cohort, manifest.policy) == ("small", "small", "unaccounted")
    picked = {(pick.epoch.trial_id, pick.epoch.epoch) for pick in built.selection.picks}
    assert (manifest.delta, manifest.participants, manifest.generators) == (1e-5, 400, len(picked))
    events = built.selection.training
    assert manifest.chosen_trials == len(events)
    assert manifest.epsilon == pytest.approx(epsilon_by_rdp(composed(events), 1e-5))
    assert manifest.winning_run_epsilon == pytest.approx(max(epsilon_by_rdp(event, 1e-5) for event in events))
    assert manifest.winning_run_epsilon < manifest.epsilon


def test_where_nothing_was_measured_the_release_says_that_it_was_not_judged(built):
    assert built.manifest.quality.verdict == "not judged"
    datasheet = (built.directory.release / "README.md").read_text()
    assert "its quality was not judged" in datasheet and "measures nothing of participants" in datasheet
    console = Console(file=io.StringIO(), width=200)
    print_report(built, console)
    assert "Not judged. This policy measures nothing of participants" in console.file.getvalue()


def test_the_statement_stands_in_the_release_and_says_the_search_is_not_covered(built):
    statement = (built.directory.release / "privacy_statement.md").read_text()
    assert statement.strip() == built.manifest.statement
    assert "NOT covered" in built.statement_summary
    assert f"{built.manifest.epsilon:.2f}" in built.statement_summary


def test_data_and_figures_say_unaccounted_in_their_names(built):
    plain = {"manifest.json", "privacy_statement.md", "privacy_statement.json", "README.md"}
    plain |= {"privacy_events.json", "check_epsilon.py", "report.html", "report.json"}
    plain |= {"data_dictionary.csv", "croissant.json", "sdv_metadata.json", "SHA256SUMS"}
    names = {file.name for file in built.directory.release.iterdir()} - plain
    assert all("unaccounted" in name for name in names)
    assert {name.rpartition(".")[2] for name in names} == {"csv", "parquet", "png", "yaml"}


def test_the_released_files_load_again_as_a_cohort(built):
    again, _ = load_participants(str(built.directory.release / "schema-unaccounted.yaml"))
    assert len(again) == 400
    table = pd.read_csv(built.directory.release / "visits-unaccounted.csv")
    pd.testing.assert_frame_equal(
        table, pd.read_parquet(built.directory.release / "visits-unaccounted.parquet"), check_dtype=False
    )
    assert list(table.columns) == ["id", "visit", "arm", "pressure", "dose"]
    assert again.schema.name == "small-synthetic"
    np.testing.assert_allclose(
        again.values[:, 0].ravel(), table.sort_values(["id", "visit"])["pressure"].to_numpy(), atol=1e-6
    )


def test_real_participants_leave_no_trace_in_the_release(released):
    before, internal_before = contents(released.release), (released.internal / "medians.csv").read_text()
    write_trial_files(released.path.parent.parent / "data", seed=99)
    build_release(released, QUIET)
    assert contents(released.release) == before
    assert (released.internal / "medians.csv").read_text() != internal_before


def test_the_release_is_sealed_before_the_cohort_is_opened(study):
    (study.path.parent.parent / "data" / "visits.csv").unlink()
    with pytest.raises(AnalysisError, match=r"The release is complete in .*visits\.csv"):
        build_release(study, QUIET)
    assert Manifest.model_validate_json((study.release / "manifest.json").read_bytes()).study == "small"
    assert not study.internal.exists() or "medians.csv" not in {file.name for file in study.internal.iterdir()}


def test_a_crash_while_drawing_again_leaves_the_old_release_and_nothing_beside_it(released, monkeypatch):
    before = contents(released.release)

    def crash(*_):
        raise RuntimeError("power cut")

    monkeypatch.setattr(release, "datasheet", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        build_release(released, QUIET, redraw=True)
    assert contents(released.release) == before
    known = {
        "study.json",
        "plan.json",
        "ledger.db",
        "ledger.json",
        "receipts.jsonl",
        "trials",
        "trials.jsonl",
        "release",
        "internal",
    }
    assert {file.name for file in released.path.iterdir()} == known


def without_participants(study):
    """The release needs no real participant, so a study without its files is released all the same."""
    (study.path.parent.parent / "data" / "visits.csv").unlink()


def draw(study, **how):
    with pytest.raises(AnalysisError, match="The release is complete"):
        build_release(study, QUIET, **how)
    return contents(study.release)


@UNDRAWN
def test_a_sealed_release_is_kept_however_often_it_is_built(released):
    change_settings(released, seed=None)
    without_participants(released)
    before = contents(released.release)
    assert draw(released) == draw(released) == before


@UNDRAWN
def test_a_release_drawn_again_is_another_and_its_statement_says_so(released):
    change_settings(released, seed=None)
    without_participants(released)
    before = contents(released.release)
    assert "no figures of real participants were opened" in before["privacy_statement.md"].decode()
    again = draw(released, redraw=True)
    assert again["visits-unaccounted.csv"] != before["visits-unaccounted.csv"]
    said = again["privacy_statement.md"].decode()
    assert "opened for the data steward once" in said  # for the report of the first
    assert "drew one release before this one" in said


@UNDRAWN
@pytest.mark.parametrize("touched", ["visits-unaccounted.csv", "README.md", None])
def test_a_release_that_was_touched_or_lost_is_drawn_again_and_not_in_silence(released, touched):
    change_settings(released, seed=None)
    without_participants(released)
    if touched:
        (released.release / touched).write_text("other")
    else:
        shutil.rmtree(released.release)
    assert "drew one release before this one" in draw(released)["privacy_statement.md"].decode()


@UNDRAWN
def test_an_earlier_release_put_back_is_not_the_sealed_one(released, tmp_path):
    change_settings(released, seed=None)
    without_participants(released)
    shutil.copytree(released.release, tmp_path / "earlier")
    draw(released, redraw=True)
    shutil.rmtree(released.release)
    shutil.copytree(tmp_path / "earlier", released.release)
    assert "drew 2 releases before this one" in draw(released)["privacy_statement.md"].decode()


def test_nothing_in_a_release_depends_on_the_clock(released, monkeypatch):
    without_participants(released)
    shutil.rmtree(released.release)
    home = released.path.parent.parent / "home"
    shutil.copytree(home, home.with_name("spare"))
    shutil.copytree(released.path, released.path.with_name("spare"))
    first = draw(released)
    times = {file.stat().st_mtime for file in (released.release, *released.release.iterdir())}
    assert times == {315532800}
    shutil.rmtree(home)
    home.with_name("spare").rename(home)
    shutil.rmtree(released.path)
    released.path.with_name("spare").rename(released.path)
    with freeze_time_at("2031-05-06T07:08:09"):
        assert draw(released) == first
    today = f"{datetime.now(UTC):%H:%M}"
    assert all(today.encode() not in content for name, content in first.items() if name.endswith((".md", ".json")))


def freeze_time_at(moment):
    return time_machine.travel(moment)


def test_a_seed_is_refused_for_a_cohort_that_is_not_public(study):
    schema = study.path.parent.parent / "data" / "small.yaml"
    schema.write_text(schema.read_text().replace("public: true", "public: false"))
    with pytest.raises(AnalysisError, match=r"has a seed \(3\), but the cohort small is not public"):
        build_release(study, QUIET)
    assert not study.release.exists()


def test_a_study_that_planned_a_budget_is_not_released_without_its_plan(study):
    study.plan_file.unlink()
    with pytest.raises(AnalysisError, match=r"plan.json cannot be read"):
        build_release(study, QUIET)


def test_training_without_noise_is_released_without_an_epsilon(study, cohort):
    settings, summary = study.settings(), check_record(study.path).summary
    chosen = Chosen(cohort="small", epochs=1, training=(NonPrivateDpEvent(),), nominal_size=400)
    statement = Unaccounted().statement(summary, study.declared_plan(), chosen)
    panels = [Panel(f"k{n}", "title", cohort) for n in range(4)]
    judged = Judged(not_judged("nothing was measured"), (), Report("title", "", "", "not judged", "summary"))
    write_release(study, settings, "unaccounted", statement, judged, replace(cohort), panels, seal=lambda digest: None)
    manifest = json.loads((study.release / "manifest.json").read_text())
    assert manifest["epsilon"] == manifest["winning_run_epsilon"] == "infinity"
    assert "not differentially private" in manifest["statement"]


def test_internal_files_warn_and_hold_the_transfer_table(built):
    internal = built.directory.internal
    assert {"DO_NOT_PUBLISH.txt", "transfer.json", "transfer.csv", "medians.csv", "selection.csv"} <= {
        file.name for file in internal.iterdir()
    }
    content = json.loads((internal / "transfer.json").read_text())
    assert content == built.transfer.as_json()
    assert len(content["epochs"]) == 10
    selected = pd.read_csv(internal / "selection.csv")
    assert list(selected["selected_by"]) == [epoch["selected_by"] for epoch in content["epochs"]]
