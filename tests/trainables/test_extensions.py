"""What a package of somebody's own adds, as the page that explains it has it."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.tune.result import AUTO_RESULT_KEYS, DEFAULT_EXPERIMENT_INFO_KEYS

from tests.shared_ray import forking
from trainables.candidate import START, candidate_named, candidate_names, register
from trainables.extensions import CANDIDATES, NETWORKS, SCORES, ExtensionError, added
from trainables.measured.candidate import MeasuredNetwork
from trainables.scoring.taken import is_taken
from tuner.optuna_search import ASKED_FOR, BEST_EPOCH, FAILURE, STOPPED_EARLY, TUNE_TRIAL

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()

USE_THEM = """
import numpy as np, torch
from cohorts import Schema
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.candidate import Setting, candidate_named, candidate_names
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.networks import build_networks
from trainables.scoring import classifiers, likenesses, steering

schema = Schema.model_validate(SMALL_SCHEMA)
people = small_cohort(schema, 400)
assert {"gan", "copula", "independent"} <= set(candidate_names())
assert likenesses()["means"].measure(people, people) == 0
assert "naive_bayes" in classifiers() and "naive_bayes" not in steering()

setting = Setting(schema, 1.0, "packed", torch.device("cpu"))
correlation = {}
for name in ("copula", "independent"):
    kind = candidate_named(name)
    measured = kind.mechanism({"candidate": name, "rho": 100.0}, setting, 1).release(people.values, people.labels)
    generator = kind.restored({"measured": measured.content()}, schema)
    drawn = generator.generate(2000, torch.Generator().manual_seed(1))
    treated = drawn.values[drawn.labels == 1]
    correlation[name] = np.corrcoef(treated[:, 0, 2], treated[:, 0, 1])[0, 1]
    assert abs(treated[:, 0, 2].mean() - people.values[people.labels == 1][:, 0, 2].mean()) < 2
assert abs(correlation["independent"]) < 0.1

generator, discriminator = build_networks(GANSettings(network="smooth", width=8), 6, 2, None)
assert discriminator(generator(torch.zeros(3, 32), torch.tensor([0, 1, 1]))).shape == (3, 3)
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


# What the commands import, apart from what looks for packages that add something.
HEAVY = (
    "lifelines",
    "matplotlib.figure",
    "optuna",
    "pyarrow",
    "ray.tune",
    "sklearn.ensemble",
    "torch",
    "privacy",
    "cohorts",
)
FORK = "FORK"  # variable of an environment: the command that stands for python there


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Python that has imported most already."""
    with forking(str(tmp_path_factory.mktemp("forks") / "forks"), HEAVY, os.environ) as command:
        yield shlex.join(command)


@pytest.fixture
def installed(tmp_path: Path, fork: str) -> dict[str, str]:
    """An environment in which the page's package is installed, as pip would leave it."""
    (module,), (project,) = blocks("python"), blocks("toml")
    (tmp_path / "our_trials.py").write_text(module)
    content = tomllib.loads(project)["project"]
    about = tmp_path / "our_trials-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {content['name']}\nVersion: {content['version']}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in content["entry-points"].items()
    )
    (about / "entry_points.txt").write_text("\n".join(groups))
    return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", FORK: fork}


def python(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess:
    command = [*shlex.split(environment[FORK]), *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


def test_candidates_scores_and_networks_of_an_installed_package_are_known_and_work(installed):
    ran = python(installed, "-c", USE_THEM)
    assert ran.returncode == 0, ran.stderr


def test_a_package_that_cannot_be_imported_is_named_in_a_sentence(installed, tmp_path):
    (tmp_path / "our_trials.py").write_text("import nothing_of_that_name\n")
    ran = python(installed, "tuner/run.py", "--plan", "--cohort", "sprint-simulated")
    assert ran.returncode == 2
    assert "our-trials adds" in ran.stderr and "nothing_of_that_name" in ran.stderr and "Traceback" not in ran.stderr


def test_a_network_that_cannot_be_packed_is_refused_before_anything_is_read(installed, tmp_path):
    (tmp_path / "gans.yaml").write_text(blocks("yaml")[1])
    words = ("tuner/run.py", "--plan", "--search-space", str(tmp_path / "gans.yaml"), "--policy", "composed")
    ran = python(installed, *words, "--cohort", "sprint-simulated")
    assert ran.returncode == 2
    assert "give --engine opacus" in " ".join(ran.stderr.split())


OTHERS = {
    "whose name is 'another'": ('name = "independent"', 'name = "another"'),
    "which lacks one_of, longest of": ("class Independent(Copula):", """class Independent(Candidate):
    hyperparameters, decided_by_budget = Copula.hyperparameters, frozenset()
    of = priced = mechanism = train = state_dict = load_state_dict = print
"""),
    "whose one_of is not a set": ('name = "independent"', 'name, one_of = "independent", "rho"'),
    "which is not a class": ("class Independent(Copula):", "Independent = 1\nclass Other(Copula):"),
}  # fmt: skip


@pytest.mark.parametrize("why", OTHERS)
def test_a_candidate_that_could_not_be_released_is_refused_before_anything_is_paid(installed, tmp_path, why):
    module = blocks("python")[0]
    (tmp_path / "our_trials.py").write_text(
        "from trainables.candidate import Candidate\n" + module.replace(*OTHERS[why])
    )
    ran = python(installed, "tuner/run.py", "--plan", "--cohort", "sprint-simulated")
    assert ran.returncode == 2
    said = " ".join(ran.stderr.split())
    assert "our-trials adds independent" in said and why in said and "Traceback" not in said


def refused(environment: dict[str, str], *words: str, cohort: str = "sprint-simulated") -> str:
    """What is said on the error stream when a study is refused that was to be planned only."""
    ran = python(environment, "tuner/run.py", "--plan", "--cohort", cohort, *words)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    return " ".join(ran.stderr.split())


def with_score(tmp_path: Path, name: str, module: str) -> None:
    """Have the package add a score under a name, ``SCORE`` of what is appended to its module."""
    points = tmp_path / "our_trials-1.0.dist-info" / "entry_points.txt"
    group = "[dpgan_tune.scores]\n"
    points.write_text(points.read_text().replace(group, f"{group}{name} = our_trials:SCORE\n"))
    with (tmp_path / "our_trials.py").open("a") as file:
        file.write(module)


AMONG_OTHERS = """

class AmongOthers(GaussianNB):
    def predict_proba(self, features):
        probabilities = super().predict_proba(features)
        return probabilities - probabilities.mean(axis=0) / 10


SCORE = Classifier("crowd", "crowd", "crowd", lambda seed: GaussianNB(), lambda seed: AmongOthers())
"""

RANK_THEM = """
import numpy as np
from cohorts import Schema
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.scoring.judging import SyntheticJudge

schema = Schema.model_validate(SMALL_SCHEMA)
judge = SyntheticJudge(small_cohort(schema, 300, 1), dict.fromkeys(SyntheticJudge.names(), 0))
assert "crowd" in judge.classifiers
people = small_cohort(schema, 60, 2)
together, fewer = judge.rankings(people), judge.rankings(people.take(np.arange(7)))
for name, all_of_them, some in zip(judge.classifiers, together, fewer, strict=True):
    assert (all_of_them[:7] == some).all(), name
assert len(set(together[judge.classifiers.index("crowd")])) > 30
"""


def test_who_else_is_ranked_does_not_show_in_what_a_packages_classifier_says(installed, tmp_path):
    with_score(tmp_path, "crowd", AMONG_OTHERS)
    ran = python(installed, "-c", RANK_THEM)
    assert ran.returncode == 0, ran.stderr


RAISES = """

class OfWhatItKnows(GaussianNB):
    def fit(self, features, labels):
        self.known = features.max(axis=0)
        return super().fit(features, labels)

    def predict_proba(self, features):
        if (features > self.known).any():
            raise ValueError(f"who is this: {features}")
        return super().predict_proba(features)


SCORE = Classifier("crowd", "crowd", "crowd", lambda seed: GaussianNB(), lambda seed: OfWhatItKnows())
"""

ASK_IT = """
import numpy as np
from cohorts import Schema
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.scoring.judging import SyntheticJudge

schema = Schema.model_validate(SMALL_SCHEMA)
judge = SyntheticJudge(small_cohort(schema, 300, 1), dict.fromkeys(SyntheticJudge.names(), 0))
people = small_cohort(schema, 60, 2)
people.values[5] = people.values.max() + 50
ranking = judge.rankings(people)[judge.classifiers.index("crowd")]
assert ranking[5] == 0 and np.count_nonzero(ranking) > 30
"""


def test_a_packages_classifier_that_raises_over_a_participant_says_nothing_of_them(installed, tmp_path):
    """An error, and the trial that it ends, would tell of that participant, unpaid."""
    with_score(tmp_path, "crowd", RAISES)
    ran = python(installed, "-c", ASK_IT)
    assert ran.returncode == 0, ran.stderr
    assert not ran.stdout + ran.stderr


def test_a_packages_classifier_that_answers_in_another_shape_is_refused_before_it_scores_anybody(installed, tmp_path):
    with_score(
        tmp_path, "crowd", AMONG_OTHERS.replace("return probabilities - probabilities", "return probabilities[0]")
    )
    ran = python(installed, "-c", RANK_THEM)
    assert "AmongOthers answers about one participant of 2 classes with numbers of shape" in ran.stderr


class Nothing:
    name = "nothing"


class Impostor(MeasuredNetwork):
    """Has the name of another."""


@pytest.mark.parametrize(
    ("candidate", "why"),
    [(5, "not a class"), (Nothing, "lacks hyperparameters"), (Impostor, "which the project has itself")],
    ids=["a number", "only a name", "a name that is taken"],
)
def test_what_is_no_candidate_is_not_registered(candidate, why):
    before = candidate_names()
    with pytest.raises(ExtensionError, match=why):
        register(candidate)
    assert candidate_names() == before and candidate_named("measured") is MeasuredNetwork


def test_a_candidate_that_this_process_knows_may_be_registered_in_another():
    for each in (candidate_named(name) for name in candidate_names()):
        register(each)


def test_a_score_that_comes_with_the_project_is_replaced_by_no_package(installed, tmp_path):
    with_score(tmp_path, "random_forest", AMONG_OTHERS.replace('"crowd"', '"random_forest"', 1))
    forest = "print(type(steering()['random_forest'].steering(0)).__name__)"
    ran = python(installed, "-c", f"from trainables.scoring import steering; {forest}")
    assert ran.stdout == "RandomForestClassifier\n", ran.stderr


@pytest.mark.parametrize(
    ("name", "module", "why"),
    [
        ("mine", AMONG_OTHERS.replace('"crowd"', '"random_forest"', 1), "whose name is 'random_forest'"),
        ("mine", "SCORE = distance_of_means", "neither a Classifier nor a Likeness"),
    ],
)
def test_a_score_that_is_none_or_has_another_name_is_refused(installed, tmp_path, name, module, why):
    with_score(tmp_path, name, module)
    ran = python(installed, "tuner/run.py", "--plan", "--cohort", "sprint-simulated")
    assert ran.returncode == 2
    said = " ".join(ran.stderr.split())
    assert "our-trials adds mine" in said and why in said and "Traceback" not in said


LIKENESS = """
SCORE = Likeness(Score("{}", "distance", "minimize", (0.0, 2.0), "free"), distance_of_means)
"""


def test_no_package_overwrites_another_figure_that_is_reported_of_an_epoch(installed, tmp_path):
    with_score(tmp_path, "score", LIKENESS.format("score"))
    said = refused(installed)
    assert "our-trials adds score (dpgan_tune.scores)" in said and "another figure is reported" in said
    assert "uninstall our-trials" in said


@pytest.mark.parametrize("name", ["auc_random_forest", "accuracy_of_mine", "misfit_products", "generator_loss"])
def test_figures_of_a_kind_that_is_reported_are_taken_too(name):
    assert is_taken(name) and not is_taken("means")


def test_what_ray_tune_reports_of_every_trial_is_taken():
    assert all(map(is_taken, {*AUTO_RESULT_KEYS, *DEFAULT_EXPERIMENT_INFO_KEYS} - {"trainable_name"}))


def test_what_is_kept_with_a_trial_in_its_database_is_taken():
    assert all(map(is_taken, (TUNE_TRIAL, FAILURE, ASKED_FOR, STOPPED_EARLY, BEST_EPOCH, START)))


def with_another_package(tmp_path: Path, group: str, name: str, value: str) -> None:
    """Install a second package beside the page's, which adds one thing."""
    about = tmp_path / "their_trials-2.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-trials\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")


def test_of_two_packages_that_add_the_same_name_neither_wins_in_silence(installed, tmp_path):
    with_another_package(tmp_path, NETWORKS, "smooth", "their_trials:smooth")
    said = refused(installed)
    assert "our-trials and their-trials both add smooth (dpgan_tune.networks)" in said
    assert "Uninstall one of the two packages" in said


@pytest.fixture
def found_here(installed, tmp_path, monkeypatch):
    """The page's package, as this process finds it."""
    monkeypatch.syspath_prepend(tmp_path)
    added.cache_clear()
    yield
    added.cache_clear()


@pytest.mark.parametrize(("group", "name"), [(SCORES, "means"), (CANDIDATES, "independent"), (NETWORKS, "smooth")])
def test_a_name_that_two_packages_add_stands_for_nothing(found_here, tmp_path, group, name):
    assert name in added(group)
    added.cache_clear()
    with_another_package(tmp_path, group, name, "their_trials:other")
    with pytest.raises(ExtensionError, match=f"our-trials and their-trials both add {name} "):
        added(group)


def test_a_name_that_one_package_adds_twice_stands_for_nothing(found_here, tmp_path):
    with_score(tmp_path, "means", "SCORE = MEANS\n")
    with pytest.raises(
        ExtensionError, match=r"our-trials adds means .* twice, by our_trials:SCORE and by our_trials:ME"
    ):
        added(SCORES)


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("smooth_networks = 1", "which is not a function"),
        ("del smooth_networks", "cannot be imported"),
        ("smooth_networks = lambda: None", "which cannot make networks"),
        (
            "def smooth_networks(s, f, a, g, smooth=smooth_networks):\n"
            "    return smooth(s, f, a, g)[0], nn.Sequential(nn.BatchNorm1d(f, affine=False), nn.Linear(f, 1 + a))",
            "cannot be asked about one participant alone",
        ),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_before_anything_is_paid(installed, tmp_path, module, why):
    (tmp_path / "gans.yaml").write_text(blocks("yaml")[1])
    with (tmp_path / "our_trials.py").open("a") as file:
        file.write(f"\n{module}\n")
    said = refused(
        installed, "--search-space", str(tmp_path / "gans.yaml"), "--engine", "opacus", "--policy", "composed"
    )
    assert "our-trials adds smooth" in said and why in said


GO_ON = """
from cohorts import Schema
from tests.conftest import SMALL_SCHEMA
from trainables.scoring import require_scored_by

require_scored_by(("logistic_regression", "random_forest"), Schema.model_validate(SMALL_SCHEMA))
"""


def test_a_study_from_before_a_classifier_that_steers_was_installed_is_not_gone_on_with(installed, tmp_path):
    assert python(installed, "-c", GO_ON).returncode == 0  # what the page installs does not steer
    with_score(tmp_path, "crowd", AMONG_OTHERS)
    ran = python(installed, "-c", GO_ON)
    assert "uninstall the package that adds crowd" in ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)  # two whole studies, on a machine that may be busy
def test_the_pages_studies_run_to_their_releases(installed, tmp_path):
    for block in blocks("yaml"):
        (tmp_path / block.split("\n")[0].removeprefix("# ")).write_text(block)
    (commands,) = blocks("sh")
    _, *studies = commands.strip().split("\n")
    for study in studies:
        words = study.removeprefix("python ").split()
        command = [sys.executable, str(ROOT / words[0]), *words[1:], "--release-anyway"]
        ran = subprocess.run(command, env=installed, cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert (tmp_path / "results" / words[words.index("--study") + 1] / "release" / "README.md").exists()
