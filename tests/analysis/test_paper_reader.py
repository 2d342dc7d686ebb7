"""The blinded reader's kit and its score."""

from dataclasses import replace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.paper.reader import ARM, KEY_FILE, PLOTS, RATING, READER, REAL, SHEET_FILE, write_kit
from tests.conftest import small_cohort


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    from cohorts import Schema
    from tests.conftest import SMALL_SCHEMA

    schema = Schema.model_validate(SMALL_SCHEMA)
    folder = tmp_path_factory.mktemp("kits") / "reader"
    real, synthetic = small_cohort(schema, 120, 1), small_cohort(schema, 120, 2)
    write_kit(folder, real, replace(synthetic, schema=schema), np.random.default_rng(0))
    return folder


def key_of(kit):
    return pd.read_csv(kit / KEY_FILE)


def filled(kit, place, rating, guess):
    """The sheet as somebody fills it in who may see the key."""
    key, sheet = key_of(kit).set_index("plot"), pd.read_csv(kit / READER / SHEET_FILE, dtype=str)
    sheet[RATING] = [rating(key.loc[plot, REAL], number) for number, plot in enumerate(sheet["plot"])]
    sheet[ARM] = [guess(key.loc[plot, ARM]) for plot in sheet["plot"]]
    file = place / "returned.csv"
    sheet.to_csv(file, index=False)
    return file


def score(kit, sheet, capsys):
    status = main(["score", str(kit), "--sheet", str(sheet)])
    return status, "".join(capsys.readouterr())


def test_half_of_the_plots_are_of_real_participants_and_nothing_that_the_reader_gets_says_which(kit):
    key, plots = key_of(kit), sorted((kit / READER / "plots").iterdir())
    assert len(key) == len(plots) == PLOTS
    assert key[REAL].sum() == PLOTS / 2
    assert sorted(key["plot"]) == [each.stem for each in plots]
    assert abs(np.corrcoef(np.arange(PLOTS), key[REAL])[0, 1]) < 0.4  # names are in no order
    assert len({matplotlib.image.imread(each).shape for each in plots}) == 1
    handed_over = {each.name for each in (kit / READER).rglob("*") if each.is_file()}
    assert handed_over == {SHEET_FILE, "README.txt", *(each.name for each in plots)}
    assert REAL not in pd.read_csv(kit / READER / SHEET_FILE).columns


def test_a_reader_who_can_tell_is_found_out(kit, tmp_path, capsys):
    sheet = filled(kit, tmp_path, lambda real, number: 7 * real + number % 3, lambda arm: arm)
    status, said = score(kit, sheet, capsys)
    assert status == 0
    assert "p = 0.000" in said
    assert "100% of pairs" in said
    assert said.count("100%") == 3  # pairs, and guesses of both


def test_a_reader_who_cannot_tell_is_not(kit, tmp_path, capsys):
    sheet = filled(kit, tmp_path, lambda real, number: number % 11, lambda arm: "control")
    _, said = score(kit, sheet, capsys)
    p_value = float(said.split("Mann-Whitney, p = ")[1].split(" ")[0])
    assert p_value > 0.001
    assert "A large p does not show that nobody can" in said


def test_a_reader_who_rates_all_alike_gets_a_sentence(kit, tmp_path, capsys):
    status, said = score(kit, filled(kit, tmp_path, lambda real, number: 5, lambda arm: ""), capsys)
    assert status == 0
    assert "nothing to test" in said


@pytest.mark.parametrize(("rating", "named"), [("", "number from 0 to 10"), ("11", "number from 0 to 10")])
def test_a_sheet_that_is_not_filled_in_is_named_by_column_and_plot(kit, tmp_path, capsys, rating, named):
    status, said = score(kit, filled(kit, tmp_path, lambda real, number: rating, lambda arm: arm), capsys)
    assert status == 2
    assert named in said
    assert RATING in said
    assert "Traceback" not in said


def test_a_sheet_of_another_kit_is_refused(kit, tmp_path, capsys):
    file = filled(kit, tmp_path, lambda real, number: 5, lambda arm: arm)
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    status, said = score(kit, file, capsys)
    assert status == 2
    assert "with all of its lines" in said


def test_a_missing_kit_ends_with_status_2(tmp_path, capsys):
    assert main(["score", str(tmp_path / "nothing")]) == 2
    assert KEY_FILE in capsys.readouterr().err
