"""A user's mistake is answered with one paragraph and status 2, and leaves nothing behind."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from privacy.planning.allocation import Allocated, DeclaredPlan
from privacy.policies import policies
from tests.cohorts.little_trial import schema_mapping, write_trial
from trainables.candidate import candidate_of, hyperparameters_of
from tuner.drawing import Drawing
from tuner.errors import StudyError
from tuner.options import parser
from tuner.plan import draft_allocation
from tuner.priced_spaces import sparse_steps
from tuner.request import StudyOutline, begin_study, outline_study, request_study
from tuner.run import main


@pytest.fixture
def little(tmp_path: Path) -> Path:
    """A sound trial's schema, with its files beside it."""
    return Path(write_trial(tmp_path / "trial"))


# A few people are too few for a declared budget, which would be the first thing to be said.
UNACCOUNTED = ("--policy", "unaccounted", "--new-ledger")


def refused(capsys: pytest.CaptureFixture, out: Path, *arguments: str) -> str:
    """The error of a command that must be refused, as one line."""
    assert main([*arguments, "--out", str(out)]) == 2
    assert not out.exists() or not any(out.iterdir())
    error = " ".join(capsys.readouterr().err.split())
    assert error.startswith("error:")
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--epsilon", "0"], "--epsilon 0.0"),
        (["--epsilon", "-1"], "--epsilon -1.0"),
        (["--epsilon", "nan"], "--epsilon nan"),
        (["--epsilon", "inf"], "--epsilon inf"),
        (["--delta", "1"], "--delta 1.0"),
        (["--trials", "0"], "--trials 0"),
        (["--max-epochs", "0"], "--max-epochs 0"),
        (["--seed", "1"], "not marked public"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", "5000000000"], "--seed 5000000000"),
        (
            ["--policy", "unaccounted", "--copies", "5"],
            "--copies 5 was given, but under the policy unaccounted nothing is measured",
        ),
        (["--copies", "1"], "--copies 1 tells nothing"),
        (["--study", "../elsewhere"], "../elsewhere"),
        (["--search-space", "nowhere.yaml"], "nowhere.yaml"),
        (["--search-space", "defautl"], "defautl"),
    ],
)
def test_an_option_that_no_study_can_use_is_named(capsys, tmp_path, little, options, named):
    assert named in refused(capsys, tmp_path / "out", "--cohort", str(little), *options)


@pytest.mark.parametrize(
    ("space", "named"),
    [
        ("learning_rate: 0.1\n", "learning_rate"),
        ("clip_norm: {uniform: [3, 1]}\n", "clip_norm"),
        ("noise_multiplier: -1\n", "noise_multiplier"),
        ("noise_multiplier: 0.001\n", "0 or a number of at least 0.01"),
    ],
)
def test_a_search_space_at_fault_is_named_with_its_key(capsys, tmp_path, little, space, named):
    file = tmp_path / "space.yaml"
    file.write_text(space)
    error = refused(capsys, tmp_path / "out", "--cohort", str(little), "--search-space", str(file))
    assert named in error
    assert "space.yaml" in error


BUDGETED = [policy.name for policy in policies() if policy.declares_budget]
FREE = [policy.name for policy in policies() if not policy.declares_budget]


@pytest.mark.parametrize("policy", BUDGETED)
@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("noise_multiplier: 0", "may draw noise_multiplier 0, at which no budget covers anything"),
        ("noise_multiplier: {categorical: [0, 2]}", "may draw noise_multiplier 0"),
        ("noise_multiplier: 2\nsampling_rate: 0.01", "names noise_multiplier and sampling_rate"),
        ("rho: 1", "names rho, which would not be used"),
    ],
)
def test_what_a_declared_budget_would_have_to_replace_is_refused(capsys, tmp_path, little, policy, space, said):
    file = tmp_path / "space.yaml"
    file.write_text(f"{space}\n")
    asked = ("--cohort", str(little), "--policy", policy, "--search-space", str(file))
    error = refused(capsys, tmp_path / "out", *asked)
    assert said in error and str(file) in error
    assert "--policy unaccounted" in error or "rho" in space


def outlined(folder: Path, policy: str, noise: str) -> StudyOutline:
    """What a study of the simulated trial with a search space for noise would be."""
    file = folder / "space.yaml"
    file.write_text(f"noise_multiplier: {noise}\n")
    return outline_study(parser().parse_args(["--policy", policy, "--search-space", str(file), "--out", str(folder)]))


def test_where_trials_read_nobody_a_search_space_has_no_say_in_noise(tmp_path):
    with pytest.raises(StudyError, match="trials read no participants, so they add no noise"):
        outlined(tmp_path, "measured", "2")


READING = ("composed", "selection", "surrogate")


@pytest.mark.parametrize("policy", READING)
def test_noise_too_little_for_the_budget_is_refused_with_the_least_that_is_enough(tmp_path, policy):
    with pytest.raises(StudyError, match="The least that works") as found:
        outlined(tmp_path, policy, "{uniform: [0.2, 9]}")
    named = float(re.search(r"policy \w+ is ([\d.]+):", str(found.value))[1])
    assert outlined(tmp_path, policy, f"{{uniform: [{named}, 9]}}")
    with pytest.raises(StudyError):
        outlined(tmp_path, policy, f"{{uniform: [{0.98 * named}, 9]}}")


def allocated(outline: StudyOutline) -> Allocated:
    """What a study's parts could cost."""
    return draft_allocation(outline.settings, outline.schema, outline.plan)[1]


def said_of(outline: StudyOutline) -> str:
    """What a study that is begun says of the noise that its search space may draw."""
    return sparse_steps(outline.schema, outline.space, outline.plan, allocated(outline))


def test_noise_none_of_which_affords_one_participant_a_step_is_refused(tmp_path):
    usual = outlined(tmp_path, "composed", "8")
    little = math.ceil(100 * allocated(usual).least_noise) / 100
    with pytest.raises(StudyError, match="participants a step on average, of about") as found:
        outlined(tmp_path, "composed", f"{{uniform: [{little}, {little + 0.01}]}}")
    enough = float(re.search(r"One participant a step takes noise_multiplier ([\d.]+) under", str(found.value))[1])
    assert little < enough and str(tmp_path / "space.yaml") in str(found.value)
    outline = outlined(tmp_path, "composed", str(enough))
    assert said_of(outline) == ""
    assert outline.plan.expected_batch(outline.schema, allocated(outline).sampling_rate_at(enough)) >= 1
    with pytest.raises(StudyError, match="One participant a step takes"):
        outlined(tmp_path, "composed", str(round(enough - 0.02, 2)))


def test_where_some_of_the_noise_affords_less_than_one_participant_a_step_the_study_says_so(tmp_path):
    least = math.ceil(100 * allocated(outlined(tmp_path, "composed", "8")).least_noise) / 100
    said = said_of(outlined(tmp_path, "composed", f"{{uniform: [{least}, 9]}}"))
    assert f"may draw noise_multiplier {least:g}, which affords 0." in said and "From " in said
    assert said_of(outlined(tmp_path, "composed", "{uniform: [8, 9]}")) == ""


@pytest.mark.parametrize("policy", READING)
@pytest.mark.parametrize("noise", ["3", "{uniform: [3, 8]}"])
def test_under_a_declared_budget_a_trial_has_the_noise_that_was_drawn_at_the_rate_that_it_affords(
    tmp_path, policy, noise
):
    outline = outlined(tmp_path, policy, noise)
    _, allocation = draft_allocation(outline.settings, outline.schema, outline.plan)
    drawn = Drawing(outline.space)()
    config = candidate_of(drawn).priced(drawn, allocation)
    assert config["noise_multiplier"] == drawn["noise_multiplier"]
    steps = 1 / config["sampling_rate"]
    assert steps == pytest.approx(round(steps))
    fitting, too_little = (allocation.noise_multiplier(1 / each) for each in (round(steps), round(steps) - 1))
    assert fitting <= drawn["noise_multiplier"] * 1.0001 and drawn["noise_multiplier"] < too_little
    assert candidate_of(config).priced(config, allocation) == pytest.approx(config, rel=1e-3), "a price settles once"


@pytest.mark.parametrize("policy", FREE)
@pytest.mark.parametrize(("noise", "drawn"), [("1.5", {1.5}), ("0", {0}), ("{categorical: [1, 2]}", {1, 2})])
def test_without_a_declared_budget_trials_have_the_noise_that_the_space_says(tmp_path, little, policy, noise, drawn):
    file = tmp_path / "space.yaml"
    file.write_text(f"noise_multiplier: {noise}\n")
    asked = ["--cohort", str(little), "--policy", policy, "--search-space", str(file), "--out", str(tmp_path / "out")]
    draw = Drawing(outline_study(parser().parse_args(asked)).space)
    configurations = [draw() for _ in range(20)]
    mechanisms = [candidate_of(each).hyperparameters(**hyperparameters_of(each)).training(1) for each in configurations]
    assert {each.noise_multiplier for each in mechanisms} == drawn


def test_a_cohort_that_is_not_known_is_answered_with_those_that_are(capsys, tmp_path):
    assert "sprint-simulated" in refused(capsys, tmp_path / "out", "--cohort", "spirnt")


def test_a_value_outside_its_bounds_is_named_with_file_and_column(capsys, tmp_path, little):
    file = little.parent / "visits.csv"
    visits = pd.read_csv(file)
    visits.loc[3, "sbp"] = 999
    visits.to_csv(file, index=False)
    error = refused(capsys, tmp_path / "out", "--cohort", str(little), *UNACCOUNTED)
    assert "visits.csv" in error
    assert "sbp" in error
    assert "line 5" in error
    assert "999" not in error  # it is a participant's, and a log has many readers


def spoil(file: Path, how: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    how(pd.read_csv(file, dtype=object)).to_csv(file, index=False)


def with_value(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Puts a value into the fourth row of a column."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[3, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("table", "how", "named"),
    [
        ("visits", lambda visits: visits.drop(columns="hb"), "hb"),
        ("visits", with_value("sbp", "high"), "a text is not a number"),
        ("visits", lambda visits: pd.concat([visits, visits.iloc[[5]]]), "second row"),
        ("visits", lambda visits: visits[visits["visit"] != "V1"], "V1"),
        ("visits", lambda visits: visits.iloc[:60], "50"),
        ("visits", lambda visits: visits.iloc[:0], "visits.csv"),
        ("people", with_value("arm", None), "arm"),
        ("people", lambda people: people.assign(arm="C"), "arm"),
    ],
    ids=["column", "text", "duplicate", "visit", "few", "empty", "no label", "one label"],
)
def test_a_spoiled_file_is_named(capsys, tmp_path, little, table, how, named):
    file = little.parent / f"{table}.csv"
    spoil(file, how)
    error = refused(capsys, tmp_path / "out", "--cohort", str(little), *UNACCOUNTED)
    assert named in error


def test_a_missing_file_is_named(capsys, tmp_path, little):
    (little.parent / "visits.csv").unlink()
    assert "visits.csv" in refused(capsys, tmp_path / "out", "--cohort", str(little), *UNACCOUNTED)


def test_the_papers_network_is_refused_for_a_cohort_it_does_not_fit(capsys, tmp_path, little):
    assert "network: compact" in refused(capsys, tmp_path / "out", "--cohort", str(little), "--search-space", "paper")


def test_a_study_that_does_not_exist_cannot_be_resumed(capsys, tmp_path):
    assert "no study nothing" in refused(capsys, tmp_path / "out", "--study", "nothing", "--resume")
    assert "which study" in refused(capsys, tmp_path / "out", "--resume")


def test_a_resumed_study_keeps_its_settings(capsys, tmp_path):
    error = refused(capsys, tmp_path / "out", "--study", "first", "--resume", "--epsilon", "9", "--trials", "3")
    assert "--epsilon" in error
    assert "--trials" in error


def test_a_study_whose_files_were_changed_is_not_resumed(capsys, tmp_path, little):
    space = tmp_path / "space.yaml"
    space.write_text("clip_norm: 1.0\n")
    options = ["--cohort", str(little), "--search-space", str(space), "--study", "begun", *UNACCOUNTED]
    given = parser().parse_args([*options, "--out", str(tmp_path / "out")])
    request = request_study(given)
    begin_study(request, DeclaredPlan(plan=request.plan, allocation=None))
    resumed = ["--study", "begun", "--resume", "--out", str(tmp_path / "out")]
    outline_study(parser().parse_args(resumed))
    space.write_text("# Only a comment more.\nclip_norm: 1.0\n")
    outline_study(parser().parse_args(resumed))
    space.write_text("clip_norm: 2.0\n")
    assert main(resumed) == 2
    assert f"{space} has been changed since the study begun began" in " ".join(capsys.readouterr().err.split())


def test_a_study_whose_classifiers_are_not_installed_is_not_resumed(capsys, tmp_path, little):
    given = parser().parse_args(
        ["--cohort", str(little), "--study", "begun", *UNACCOUNTED, "--out", str(tmp_path / "out")]
    )
    request = request_study(given)
    planned = request.plan.model_copy(update={"scored_by": (*request.plan.scored_by, "naive_bayes")})
    begin_study(request, DeclaredPlan(plan=planned, allocation=None))
    assert main(["--study", "begun", "--resume", "--out", str(tmp_path / "out")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "planned to be scored by logistic_regression, naive_bayes, random_forest" in said
    assert "install the package that adds naive_bayes" in said


def test_a_name_already_used_is_refused_and_the_older_study_left_alone(capsys, tmp_path, little):
    older = tmp_path / "out" / "first"
    older.mkdir(parents=True)
    (older / "study.json").write_text("{}")
    assert main(["--cohort", str(little), "--study", "first", "--out", str(tmp_path / "out")]) == 2
    assert "--study first --resume" in " ".join(capsys.readouterr().err.split())
    assert [file.name for file in older.iterdir()] == ["study.json"]


def test_a_file_where_a_folder_should_be_is_named(capsys, tmp_path, little):
    file = tmp_path / "afile"
    file.write_text("")
    assert main(["--cohort", str(little), "--out", str(file)]) == 2
    assert "afile cannot be a folder" in " ".join(capsys.readouterr().err.split())
    assert "afile" in refused(capsys, tmp_path / "out", "--cohort", str(little), "--storage", str(file))


def test_a_storage_that_cannot_be_made_is_named_before_anything_is_paid(capsys, tmp_path, little):
    said = refused(capsys, tmp_path / "out", "--cohort", str(little), "--storage", "/proc/nowhere")
    assert "--storage /proc/nowhere cannot be written" in said


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--cohort", "is a folder; give the path of the trial's schema"),
        ("--ledger", "is a folder, and a ledger is a file"),
    ],
)
def test_a_folder_where_a_file_should_be_is_named(capsys, tmp_path, little, option, named):
    asked = {"--cohort": str(little)} | {option: str(little.parent)}
    assert named in refused(capsys, tmp_path / "out", *(word for each in asked.items() for word in each), *UNACCOUNTED)


@pytest.mark.parametrize(
    ("option", "named"),
    [("--data", "is a file. Give the folder"), ("--ledger", "is no ledger"), ("--cohort", "is no schema")],
)
def test_a_file_of_another_kind_is_named(capsys, tmp_path, little, option, named):
    asked = {"--cohort": str(little)} | {option: str(little.parent / "people.csv")}
    assert named in refused(capsys, tmp_path / "out", *(word for each in asked.items() for word in each), *UNACCOUNTED)


def test_an_epsilon_that_no_noise_keeps_is_refused_with_the_smallest_that_some_does(capsys, tmp_path):
    error = refused(capsys, tmp_path / "out", "--cohort", "sprint-simulated", "--epsilon", "0.001")
    assert "Epsilon 0.001 is too small: at delta 1e-05 it cannot be kept, however much noise is added." in error
    assert "The smallest --epsilon that can be kept here is 0.0036" in error


def test_no_cluster_at_the_address_is_said_before_anything_is_written(capsys, tmp_path, little):
    error = refused(capsys, tmp_path / "out", "--cohort", str(little), "--address", "127.0.0.1:1", *UNACCOUNTED)
    assert "--address 127.0.0.1:1" in error


def test_a_label_too_rare_to_be_split_is_refused(capsys, tmp_path):
    schema = schema_mapping()
    schema["label"]["classes"][0]["share"], schema["label"]["classes"][1]["share"] = 0.98, 0.02
    little = Path(write_trial(tmp_path / "trial", schema=schema))
    people = pd.read_csv(little.parent / "people.csv")
    people["arm"] = ["T", *["C"] * (len(people) - 1)]
    people.to_csv(little.parent / "people.csv", index=False)
    little.write_text(yaml.safe_dump(schema))
    assert "participants are treated" in refused(capsys, tmp_path / "out", "--cohort", str(little), *UNACCOUNTED)


def test_a_delta_at_which_somebody_could_be_published_whole_is_refused(capsys, tmp_path, little):
    error = refused(capsys, tmp_path / "out", "--cohort", str(little), "--delta", "0.05", *UNACCOUNTED)
    assert "more than one over the" in error


def test_a_policy_that_is_not_known_is_answered_with_those_that_are(capsys, tmp_path, little):
    error = refused(capsys, tmp_path / "out", "--cohort", str(little), "--policy", "free")
    assert "surrogate, composed, selection, unaccounted" in error


def test_a_study_of_an_earlier_version_is_not_resumed(capsys, tmp_path):
    older = tmp_path / "out" / "older"
    older.mkdir(parents=True)
    (older / "study.json").write_text('{"study": "older", "policy": "surrogate"}')
    assert main(["--study", "older", "--resume", "--out", str(tmp_path / "out")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "begun by another version of dpgan-tune" in said and "still counts" in said
