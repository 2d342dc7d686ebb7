"""What is done with a sealed release: it is verified by its folder alone, and more participants are drawn beside it."""

import hashlib
import json
import shutil
import subprocess

import pandas as pd
import pytest
from rich.console import Console

from analysis import AnalysisError, build_release
from analysis.__main__ import main
from analysis.dataset.sums import write_sums
from analysis.more import draw_participants
from analysis.release import Drawn, Manifest, described_files
from analysis.verifying import verify_release
from cohorts import load_participants, resolve_schema
from privacy.ledger.charge import Charge
from privacy.ledger.commitment import digest_of
from privacy.ledger.ledger import Ledger, ledger_file
from tests.analysis.conftest import change_settings, placed

QUIET = Console(quiet=True)
pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture(scope="module")
def built(finished, tmp_path_factory):
    """The finished study with its release; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        return build_release(placed(finished, tmp_path_factory.mktemp("built"), patch), QUIET).directory


@pytest.fixture
def released(built, tmp_path, monkeypatch):
    """A copy of it, with all that belongs to it, of a study without a seed."""
    study = placed(built.path.parent.parent, tmp_path, monkeypatch)
    change_settings(study, seed=None)
    return study


def refused(study, message, capsys):
    """`verify` ends with status 2 and a paragraph that says so."""
    assert main(["verify", str(study.release)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error:") and "Traceback" not in said.err
    assert message in said.err


def test_a_release_holds_as_it_was_published_and_so_says_sha256sum(built, capsys):
    assert main(["verify", str(built.release)]) == 0
    assert "400 participants" in capsys.readouterr().out
    assert main(["verify", str(built.path)]) == 0  # whoever has the study may name that
    said = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=built.release, capture_output=True)
    assert said.returncode == 0


def test_the_release_says_how_it_is_read_and_lists_every_table_for_repositories(built):
    said = (built.release / "README.md").read_text()
    assert 'read.csv("visits-unaccounted.csv"' in said and 'pd.read_parquet("visits-unaccounted.parquet")' in said
    assert "The publisher stated no licence" in said
    listed = json.loads((built.release / "croissant.json").read_text())["distribution"]
    tables = {file.name for file in built.release.iterdir() if file.suffix in (".csv", ".parquet")}
    assert {each["contentUrl"] for each in listed} == tables


def test_a_file_that_was_changed_is_named(released, capsys):
    (released.release / "README.md").write_text("other")
    refused(released, "README.md is not as it was published", capsys)


def test_a_file_that_is_missing_is_named(released, capsys):
    (released.release / "visits-unaccounted.parquet").unlink()
    refused(released, "lacks visits-unaccounted.parquet", capsys)


def test_a_file_that_is_left_over_is_named(released, capsys):
    (released.release / "more").mkdir()
    (released.release / "more" / "visits.csv").write_text("id\n")
    refused(released, "holds more/visits.csv, which no release wrote there", capsys)


def test_new_checksums_do_not_hide_that_the_manifest_says_otherwise(released, capsys):
    (released.release / "README.md").write_text("other")
    write_sums(released.release)
    refused(released, "something else of README.md than the files do", capsys)


def forge(study, table):
    """Replace the CSV, with checksums and a manifest to fit."""
    folder = study.release
    table.to_csv(folder / "visits-unaccounted.csv", index=False)
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    forged = manifest.model_copy(update={"files": described_files(folder)})
    (folder / "manifest.json").write_text(forged.model_dump_json(indent=2))
    write_sums(folder)


@pytest.mark.parametrize(
    ("file", "was", "becomes"),
    [
        ("privacy_statement.md", "delta", "Delta"),
        ("privacy_statement.json", '"delta": 1e-05', '"delta": 1e-06'),
        ("privacy_events.json", '"delta": 1e-05', '"delta": 1e-06'),
    ],
)
def test_a_statement_that_was_edited_is_found_though_all_checksums_fit(released, capsys, file, was, becomes):
    text = (released.release / file).read_text()
    assert was in text
    (released.release / file).write_text(text.replace(was, becomes))
    forge(released, pd.read_csv(released.release / "visits-unaccounted.csv"))
    refused(released, f"{file} states something else than manifest.json does", capsys)


def test_a_value_beyond_the_schemas_limits_is_found_though_all_checksums_fit(released, capsys):
    table = pd.read_csv(released.release / "visits-unaccounted.csv")
    table.loc[5, "pressure"] = 999
    forge(released, table)
    refused(released, "does not keep to the release's schema", capsys)


def test_csv_and_parquet_that_differ_are_found_though_all_checksums_fit(released, capsys):
    table = pd.read_csv(released.release / "visits-unaccounted.csv")
    table.loc[5, "pressure"] = 100 if table.loc[5, "pressure"] != 100 else 101
    forge(released, table)
    refused(released, "do not hold the same participants", capsys)


def test_participants_who_were_left_out_are_missed_though_all_checksums_fit(released, capsys):
    table = pd.read_csv(released.release / "visits-unaccounted.csv")
    forge(released, table[table["id"] != "S000007"])
    refused(released, "399 complete participants and 400 were published", capsys)


def test_a_folder_without_a_release_is_said_to_be_none(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "There is no release at" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["build"], ["verify"], ["draw", "--participants", "3"], ["publication"], ["score"]]
)
def test_a_file_where_a_folder_is_asked_for_is_said_to_be_one(command, capsys):
    assert main([*command, __file__]) == 2
    assert "is a file" in " ".join(capsys.readouterr().err.split())


ANOTHER = ("--licence", "CC-BY-4.0", "--citation", "A & B. A copy of 'small'. 2026.", "--published", "2026-05-01")


def test_a_sealed_release_is_given_another_licence_and_nothing_of_it_is_drawn_anew(released, capsys):
    read, before = charges(released), {file.name: file.read_bytes() for file in released.release.iterdir()}
    assert main(["publication", str(released.path), *ANOTHER]) == 0
    said = capsys.readouterr().out
    after = {file.name: file.read_bytes() for file in released.release.iterdir()}
    says = {"README.md", "SHA256SUMS", "croissant.json", "manifest.json", "report.html", "report.json",
            "schema-unaccounted.yaml"}  # fmt: skip
    assert {name for name in after if after[name] != before[name]} == says and after.keys() == before.keys()
    assert hashlib.sha256(after["SHA256SUMS"]).hexdigest() in said
    verify_release(released.release)
    assert charges(released) == read
    assert b"Licence: CC-BY-4.0 (https://spdx.org" in after["README.md"]
    assert b"<p>Licence: CC-BY-4.0.</p>" in after["report.html"] and b"A &amp; B. A copy of" in after["report.html"]
    metadata = json.loads(after["croissant.json"])
    assert metadata["citeAs"] == ANOTHER[3] and metadata["datePublished"] == "2026-05-01"


def test_what_a_release_says_is_what_it_would_have_said_from_the_beginning(released, capsys):
    before = {file.name: file.read_bytes() for file in released.release.iterdir()}
    assert main(["publication", str(released.path), *ANOTHER]) == 0
    main(["publication", str(released.path), "--licence", "", "--citation", ""])
    file = next(released.release.glob("schema-*.yaml"))
    assert "published: '2026-05-01'" in file.read_text()  # what is not given stays
    main(["publication", str(released.path)])  # what the trial's schema says
    assert {file.name: file.read_bytes() for file in released.release.iterdir()} == before


def test_a_relabelled_release_is_still_the_sealed_one_and_no_other_draw(released):
    text = (released.release / "privacy_statement.md").read_text()
    assert main(["publication", str(released.path), *ANOTHER]) == 0
    build_release(released, QUIET)  # keeps it
    assert (released.release / "privacy_statement.md").read_text() == text
    assert json.loads((released.release / "croissant.json").read_text())["citeAs"] == ANOTHER[3]
    folder, manifest = draw_participants(released, 10)
    assert "one release" in manifest.statement and "2 releases" not in manifest.statement
    assert verify_release(folder)


def test_a_relabelling_that_was_interrupted_leaves_the_release_that_was_published_the_sealed_one(released, monkeypatch):
    assert main(["publication", str(released.path), *ANOTHER]) == 0
    published = {file.name: file.read_bytes() for file in released.release.iterdir()}

    def power_fails(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cohorts.storage._exchange", power_fails)  # the ledger has the new one already
        main(["publication", str(released.path), "--licence", "CC0-1.0"])
    build_release(released, QUIET)
    assert {file.name: file.read_bytes() for file in released.release.iterdir()} == published


def test_a_release_without_its_schema_is_no_release(released, capsys):
    next(released.release.glob("schema-*.yaml")).unlink()
    assert main(["publication", str(released.path), *ANOTHER]) == 2
    assert "is not a release as a study wrote it" in " ".join(capsys.readouterr().err.split())


def test_a_release_that_somebody_changed_is_not_given_a_licence(released, capsys):
    file = next(released.release.glob("*.csv"))
    file.write_text(file.read_text() + "\n")
    assert main(["publication", str(released.path), *ANOTHER]) == 2
    assert "is not the release that the study" in capsys.readouterr().err
    assert "The publisher stated no licence" in (released.release / "README.md").read_text()


def charges(study):
    """What the cohort's ledger says was read."""
    ledger = Ledger.open(ledger_file(resolve_schema(study.settings().cohort)), read_only=True)
    try:
        return [entry.content for entry in ledger.books.entries if isinstance(entry.content, Charge)]
    finally:
        ledger.close()


def test_more_participants_of_one_class_are_drawn_and_nobody_is_read(released, capsys):
    read, before = charges(released), digest_of(released.release)
    (released.path.parent.parent / "data" / "visits.csv").unlink()  # what is not there, nobody can read
    assert main(["draw", str(released.path), "--participants", "30", "--class", "treated"]) == 0
    folder = released.path / "draws" / "1"
    assert str(folder) in capsys.readouterr().out
    drawn = pd.read_csv(folder / "visits-unaccounted-draw-1.csv")
    assert drawn["id"].nunique() == 30 and set(drawn["arm"]) == {1}
    assert verify_release(folder).manifest.drawn == Drawn(number=1, group="treated", seed=None)
    assert charges(released) == read and digest_of(released.release) == before


def test_nobody_who_is_drawn_has_an_identifier_of_the_release_or_of_another_draw(released):
    folders = [draw_participants(released, 60)[0] for _ in range(2)]
    tables = [pd.read_csv(next(each.glob("visits-*.csv"))) for each in (*folders, released.release)]
    ids = pd.concat([table["id"].drop_duplicates() for table in tables])
    assert len(ids) == 60 + 60 + 400 and ids.is_unique


def test_the_statement_of_a_draw_says_what_was_seen_and_drawn_before(released):
    said = [(draw_participants(released, 60)[0] / "privacy_statement.md").read_text() for _ in range(2)]
    assert all("opened for the data steward once" in each for each in said)  # for the report of the release
    assert "drew one release before this one" in said[0] and "drew 2 releases before this one" in said[1]


def test_the_same_seed_draws_the_same_participants_and_another_draws_others(released):
    values = [
        pd.read_csv(next(folder.glob("visits-*.csv"))).drop(columns="id")
        for folder, _ in (draw_participants(released, 60, seed=seed) for seed in (7, 7, 8))
    ]
    pd.testing.assert_frame_equal(values[0], values[1])
    assert not values[0].equals(values[2])


def test_a_draw_has_both_classes_by_their_public_shares_and_loads_again_as_a_cohort(released):
    folder, _ = draw_participants(released, 600)
    (schema_file,) = folder.glob("schema-*.yaml")
    people, _ = load_participants(str(schema_file))
    assert len(people) == 600 and people.schema.nominal_size == 600
    assert abs(people.labels.mean() - 0.5) < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--participants", "0"], "draws nobody"),
        (["--participants", "99999999999"], "more than are drawn at once"),
        (["--participants", "9", "--class", "placebo"], "Its classes are 'control', 'treated'"),
        (["--participants", "9", "--seed", "-1"], "out of range"),
    ],
)
def test_what_cannot_be_drawn_ends_with_status_2_and_a_sentence(released, options, message, capsys):
    assert main(["draw", str(released.path), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (released.path / "draws").exists()


def test_nothing_is_drawn_beside_a_release_that_is_not_the_sealed_one(released, capsys):
    (released.release / "README.md").write_text("other")
    assert main(["draw", str(released.path), "--participants", "9"]) == 2
    assert "is not the release that the study small sealed" in capsys.readouterr().err


def test_nothing_is_drawn_from_other_generators_than_the_release_was(released, capsys):
    picked = pd.read_csv(released.internal / "selection.csv").iloc[0]
    (folder,) = (each for each in released.trials.iterdir() if picked["trial"] in each.name)
    for checkpoint in folder.glob("checkpoint_*"):
        shutil.rmtree(checkpoint)
    assert main(["draw", str(released.path), "--participants", "9"]) == 2
    assert "drawn from other epochs than would be picked now" in " ".join(capsys.readouterr().err.split())
    assert not (released.path / "draws").exists()


def test_no_draw_takes_the_place_of_a_folder_that_is_there(released, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(AnalysisError, match="is there already"):
        draw_participants(released, 9, folder=tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
