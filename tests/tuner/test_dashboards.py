"""The dashboards of a local run show the study's trials, ask for a token, and are out of other machines' reach."""

import json
import os
import re
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from tuner import metrics
from tuner.dashboards import Dashboards, dashboards, optuna_dashboard, ray_token

LISTENERS = """
import json
from tuner.dashboards import local_ray_auth
{order}
import psutil, urllib.request, urllib.error
context = ray.init(num_cpus=1, log_to_driver=False, include_dashboard=True, configure_logging=False)
ray.get(ray.remote(lambda: None).remote())
processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
listening = {{c.laddr for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}}
try:
    urllib.request.urlopen("http://" + context["webui_url"] + "/api/cluster_status", timeout=10)
    answer = 200
except urllib.error.HTTPError as error:
    answer = error.code
metrics = []
for port in {{address.port for address in listening}}:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{{port}}/metrics", timeout=10)
        metrics.append(port)
    except Exception:
        continue
addresses = sorted({{address.ip for address in listening}})
print(json.dumps({{"listening": addresses, "without_token": answer, "metrics": metrics}}))
ray.shutdown()
"""

METRICS = """
import os, time, urllib.request
import ray
from ray import tune
from tuner.callbacks import PaidFor
from tuner.dashboards import ray_token
from tuner.metrics import BEST, BUDGET, EPOCHS, TRIALS, StudyMetrics
ray_token()
quiet = {"log_to_driver": False, "include_dashboard": False, "configure_logging": False}
context = ray.init(num_cpus=1, _system_config={"metrics_report_interval_ms": 200}, **quiet)
shown = PaidFor(StudyMetrics("watched", 3.0))
run = tune.RunConfig(storage_path=os.environ["HOME"], verbose=0, callbacks=[shown])
tune.Tuner(lambda config: tune.report({"score": 0.75, "secret_score": 0.123454321}), run_config=run).fit()
address = f"http://127.0.0.1:{context['metrics_export_port']}/metrics"
metrics, until = "", time.monotonic() + 60
while not all(name in metrics for name in (BEST, TRIALS, EPOCHS, BUDGET)) and time.monotonic() < until:
    metrics = urllib.request.urlopen(address, timeout=10).read().decode()
print(metrics)
ray.shutdown()
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    study = optuna.create_study(storage=f"sqlite:///{folder}/study.db", study_name="shown", direction="maximize")
    for score in (0.6, 0.8):
        trial = study.ask({"clip_norm": optuna.distributions.FloatDistribution(0.1, 1.0)})
        trial.report(score / 2, step=1)
        trial.report(score, step=2)
        study.tell(trial, score)
    return folder / "study.db"


@dataclass(frozen=True)
class Watched:
    """What there was to be seen while dashboards were served.

    Args:
        addresses: that were said.
        token_file: that Ray's dashboard was told of.
        page: of Optuna's dashboard.
        summary: of the study.
        trials: of the study.
        refused: how requests were answered that none should make.
    """

    addresses: Dashboards
    token_file: Path
    page: bytes
    summary: dict[str, Any]
    trials: list[dict[str, Any]]
    refused: dict[str, int]


@pytest.fixture(scope="module")
def watched(database, tmp_path_factory) -> Watched:
    """A study that was watched and has ended."""
    token_file = tmp_path_factory.mktemp("token") / "token"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token_file))
        patch.delenv("RAY_AUTH_TOKEN", raising=False)
        with dashboards(database, {"webui_url": "127.0.0.1:8265"}) as addresses:
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            with browser.open(addresses.optuna, timeout=10) as answer:
                page, root = answer.read(), answer.url.removesuffix("/dashboard")
            (summary,) = json.load(browser.open(f"{root}/api/studies"))["study_summaries"]
            study = f"{root}/api/studies/{summary['study_id']}"
            trials = json.load(browser.open(f"{study}?after=0"))["trials"]
            refused = {
                "without the token": status(urllib.request.Request(f"{root}/api/studies")),
                "with another": status(urllib.request.Request(f"{root}/dashboard?token=guessed")),
                "under another name": status(urllib.request.Request(addresses.optuna, headers={"Host": "evil.test"})),
                "to delete": status(urllib.request.Request(study, method="DELETE"), browser),
            }
    return Watched(addresses, token_file, page, summary, trials, refused)


def status(request: urllib.request.Request, browser: urllib.request.OpenerDirector | None = None) -> int:
    """How a request is answered."""
    try:
        with (browser or urllib.request.build_opener()).open(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def fetch(url: str) -> bytes:
    """What a browser is shown, which keeps cookies."""
    with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(url, timeout=10) as answer:
        return answer.read()


def test_optunas_dashboard_shows_every_trial_with_its_intermediate_values(watched):
    assert b"<html" in watched.page.lower()
    assert watched.summary["study_name"] == "shown"
    shown = watched.trials
    assert [trial["values"] for trial in shown] == [[0.6], [0.8]]
    assert [[point["value"] for point in trial["intermediate_values"]] for trial in shown] == [[0.3, 0.6], [0.4, 0.8]]


def test_optunas_dashboard_asks_for_a_token_and_lets_nobody_write(watched, database):
    assert watched.refused == {
        "without the token": 403,
        "with another": 403,
        "under another name": 403,
        "to delete": 405,
    }
    assert len(optuna.load_study(study_name="shown", storage=f"sqlite:///{database}").trials) == 2


def test_optunas_dashboard_listens_on_this_machine_only_and_stops_with_the_study(watched):
    assert watched.addresses.optuna.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.URLError):
        fetch(watched.addresses.optuna)


def test_optunas_dashboard_does_not_outlive_a_killed_study(database):
    study = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from tuner.dashboards import optuna_dashboard\n"
            "with optuna_dashboard(Path(sys.argv[1])) as address: print(address, flush=True); time.sleep(60)",
            str(database),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    address = study.stdout.readline().strip()
    fetch(address)
    study.kill()
    study.wait()
    study.stdout.close()
    for _ in range(50):
        try:
            fetch(address)
        except OSError:
            return
        time.sleep(0.1)
    pytest.fail("the dashboard still answers")


def test_a_study_whose_dashboard_cannot_start_goes_on(tmp_path):
    with optuna_dashboard(tmp_path / "no-such-folder" / "study.db") as address:
        assert address is None


def test_both_addresses_and_the_way_in_are_said(watched):
    said = "\n".join(watched.addresses.lines())
    assert watched.addresses.optuna in said
    assert "http://127.0.0.1:8265" in said
    assert str(watched.token_file) in said
    (line,) = Dashboards(None, None, None, wanted=False).lines()
    assert "--dashboard shows them" in line
    (line,) = Dashboards(None, None, None).lines()
    assert "did not start" in line


def test_a_token_is_made_once_and_read_by_its_owner_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "new" / "token"))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    token_file = ray_token()
    first = token_file.read_text()
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert len(first) >= 32
    assert ray_token().read_text() == first
    assert os.environ["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize(
    "order",
    ["import ray; local_ray_auth()", pytest.param("local_ray_auth(); import ray", marks=pytest.mark.slow)],
)
def test_a_local_ray_asks_for_a_token_shows_no_metrics_and_nothing_of_it_listens_outside(order, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LISTENERS.format(order=order)],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert {address.removeprefix("::ffff:") for address in found["listening"]} == {"127.0.0.1"}
    assert found["without_token"] == 401
    assert found["metrics"] == []


def test_the_metrics_of_a_cluster_hold_what_was_paid_for_and_nothing_else_of_a_trial(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    exported: list[str] = []
    for _ in range(3):  # on a busy machine Ray gives its metrics up for good, seconds after it started
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", METRICS],
            env=environment | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        exported += ran.stdout.splitlines()
        if "ray_dpgan_tune" in ran.stdout:
            break
    assert not [line for line in exported if "secret_score" in line or "0.123454321" in line]
    lines = [line for line in exported if line.startswith("ray_dpgan_tune")]
    figures = {line.split("{")[0]: float(line.split()[-1]) for line in lines if "state=" not in line}
    assert figures["ray_dpgan_tune_best_score"] == 0.75 and figures["ray_dpgan_tune_declared_epsilon"] == 3.0
    assert all('study="watched"' in line.lower() for line in lines)


def test_grafana_draws_every_metric_of_a_study_and_no_other():
    panels = json.loads((Path(__file__).parents[2] / "clusters" / "grafana.json").read_text())["panels"]
    asked = {re.search(r"\(ray_(\w+)", target["expr"])[1] for panel in panels for target in panel["targets"]}
    assert asked == {metrics.BEST, metrics.TRIALS, metrics.EPOCHS, metrics.BUDGET}
