"""A trial takes a share of a machine that exists, or the study says which share is wrong."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import StudyError
from tuner.resources import GPU_SHARE, TrialResources, machines, trial_resources

LAPTOP = {"CPU": 2.0, "GPU": 0.0}
GPU_MACHINE = {"CPU": 16.0, "GPU": 1.0}
HEAD_WITHOUT_WORK = {"CPU": 0.0, "GPU": 0.0}

machine = st.fixed_dictionaries({"CPU": st.integers(1, 256).map(float), "GPU": st.integers(0, 16).map(float)})
clusters = st.lists(machine, min_size=1, max_size=6)
shares = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32), st.sampled_from([0.125, 0.5, 1, 2])
)


def test_a_laptop_gives_a_trial_one_core_and_no_gpu():
    assert trial_resources(None, None, LAPTOP) == TrialResources(cpus=1.0, gpus=0.0)


def test_a_fraction_of_a_core_lets_more_trials_run_at_once():
    half = trial_resources(0.5, None, LAPTOP)
    assert half.trials_at_once([LAPTOP]) == 4


def test_a_gpu_is_shared_by_eight_trials():
    settled = trial_resources(None, None, GPU_MACHINE)
    assert settled.gpus == GPU_SHARE
    assert settled.trials_at_once([GPU_MACHINE]) == 8


def test_few_cores_beside_a_gpu_are_shared_evenly():
    small = {"CPU": 4.0, "GPU": 1.0}
    settled = trial_resources(None, None, small)
    assert settled.cpus == 0.5
    assert settled.trials_at_once([small]) == 8


def test_packed_trials_take_less():
    laptop, machine = (trial_resources(None, None, each, packed=True) for each in (LAPTOP, {"CPU": 64.0}))
    assert laptop == TrialResources(cpus=0.25, gpus=0.0)
    assert machine.trials_at_once([{"CPU": 64.0}]) == 256
    on_gpu = trial_resources(None, None, GPU_MACHINE, packed=True)
    assert on_gpu.trials_at_once([GPU_MACHINE]) == 64


def test_a_head_without_work_does_not_count():
    settled = trial_resources(None, None, [HEAD_WITHOUT_WORK, GPU_MACHINE])
    assert settled.trials_at_once([HEAD_WITHOUT_WORK, GPU_MACHINE]) == 8


def test_a_gpu_can_be_left_alone():
    assert trial_resources(None, 0, GPU_MACHINE) == TrialResources(cpus=1.0, gpus=0.0)


def test_a_share_of_a_gpu_lies_on_one_gpu():
    two = {"CPU": 64.0, "GPU": 2.0}
    assert TrialResources(cpus=1, gpus=0.75).trials_at_once([two]) == 2


def test_placement_speaks_tunes_words():
    assert TrialResources(cpus=0.5, gpus=0.125).placement() == {"cpu": 0.5, "gpu": 0.125}


@pytest.mark.parametrize(
    ("cpus", "gpus", "cluster", "says"),
    [
        (0, None, LAPTOP, "--cpus-per-trial 0 "),
        (-1, None, LAPTOP, "--cpus-per-trial -1 "),
        (math.nan, None, LAPTOP, "--cpus-per-trial nan"),
        (math.inf, None, LAPTOP, "--cpus-per-trial inf"),
        (3, None, LAPTOP, "largest has 2"),
        (None, -0.5, GPU_MACHINE, "--gpus-per-trial -0.5 "),
        (None, 1.5, {"CPU": 8, "GPU": 4}, "such as 2"),
        (None, 2, GPU_MACHINE, "largest has 1"),
        (None, 0.125, LAPTOP, "no GPU"),
        (4, 0.5, [{"CPU": 2, "GPU": 1}, {"CPU": 64, "GPU": 0}], "machine with a GPU"),
    ],
)
def test_an_impossible_share_is_named(cpus, gpus, cluster, says):
    with pytest.raises(StudyError, match=r"--[cg]pus-per-trial") as caught:
        trial_resources(cpus, gpus, cluster)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(clusters)
def test_what_is_settled_without_being_asked_always_fits(cluster):
    settled = trial_resources(None, None, cluster)
    assert settled.trials_at_once(cluster) >= 1
    assert 0 < settled.cpus <= 1
    assert (settled.gpus > 0) == any(machine["GPU"] for machine in cluster)


@given(shares, shares, clusters)
def test_any_share_either_fits_or_is_refused(cpus, gpus, cluster):
    try:
        settled = trial_resources(cpus, gpus, cluster)
    except StudyError:
        return
    assert settled.trials_at_once(cluster) >= 1
    assert any(m["CPU"] >= settled.cpus and m["GPU"] >= settled.gpus for m in cluster)
    assert settled.gpus < 1 or settled.gpus == int(settled.gpus)
    assert cpus is None or settled.cpus == cpus
    assert gpus is None or settled.gpus == gpus


@given(machine, st.floats(0.001, 1), st.floats(0.01, 1))
def test_trials_at_once_never_take_more_than_there_is(one, cpus, gpus):
    count = TrialResources(cpus, gpus).trials_at_once([one])
    assert count * cpus <= one["CPU"] + count * 1e-4
    assert count * gpus <= one["GPU"] + count * 1e-4


def connected_to(monkeypatch, address, resources):
    import ray

    node = {"Alive": True, "NodeManagerAddress": address, "Resources": resources}
    monkeypatch.setattr(ray, "nodes", lambda: [node, node | {"Alive": False, "Resources": {"CPU": 99.0}}])


def test_a_cluster_counts_the_workers_it_may_still_launch(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    connected_to(monkeypatch, "10.0.0.1", {"memory": 1.0})
    kinds = {"head": {"resources": {"CPU": 0}}, "worker": {"resources": {"CPU": 16, "GPU": 1}, "max_workers": 4}}
    (tmp_path / "ray_bootstrap_config.yaml").write_text(json.dumps({"available_node_types": kinds}))
    assert machines() == [{"CPU": 0, "GPU": 0}, {"CPU": 0, "GPU": 0}, {"CPU": 16, "GPU": 1}]
    assert trial_resources(None, None, machines()) == TrialResources(cpus=1, gpus=0.125)


def test_a_study_on_this_machine_alone_counts_no_workers(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    connected_to(monkeypatch, "127.0.0.1", {"CPU": 2.0})
    (tmp_path / "ray_bootstrap_config.yaml").write_text(
        json.dumps({"available_node_types": {"worker": {"resources": {"CPU": 16, "GPU": 1}}}})
    )
    assert machines() == [{"CPU": 2, "GPU": 0}]


def test_a_study_on_this_machine_finds_its_own_share():
    assert trial_resources(None, None, None).cpus > 0
