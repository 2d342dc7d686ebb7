"""What a package of somebody's own adds, as the page that explains it has it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

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
    measured = kind.mechanism({"rho": 100.0}, setting, 1).release(people.values, people.labels)
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


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
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
    return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def python(environment: dict[str, str], *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], env=environment, cwd=cwd, capture_output=True, text=True)


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


@pytest.mark.slow
@pytest.mark.timeout(3600)  # two whole studies, on a machine that may be busy
def test_the_pages_studies_run_to_their_releases(installed, tmp_path):
    for block in blocks("yaml"):
        (tmp_path / block.split("\n")[0].removeprefix("# ")).write_text(block)
    (commands,) = blocks("sh")
    _, *studies = commands.strip().split("\n")
    for study in studies:
        words = study.removeprefix("python ").split()
        ran = python(installed, str(ROOT / words[0]), *words[1:], "--release-anyway", cwd=tmp_path)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert (tmp_path / "results" / words[words.index("--study") + 1] / "release" / "README.md").exists()
