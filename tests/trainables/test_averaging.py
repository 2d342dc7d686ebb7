import pytest
import torch
from torch import nn

from trainables.gan.averaging import GeneratorAverage


def moving(steps: int, decay: float) -> tuple[GeneratorAverage, nn.Linear]:
    """An average over weights that go 1, 2, 3, ... after random first ones."""
    generator = nn.Linear(1, 1)
    average = GeneratorAverage(generator, decay)
    for step in range(1, steps + 1):
        nn.init.constant_(generator.weight, step)
        average.update(generator)
    return average, generator


def test_without_averaging_the_last_weights_are_kept():
    average, generator = moving(20, decay=0.0)
    assert torch.equal(average.module.weight, generator.weight)


def test_the_average_lies_among_recent_weights_and_forgets_the_first():
    average, _ = moving(400, decay=0.9)
    # Weights one step apart, each 0.9 as heavy as the next: the mean lies 9 steps back.
    assert average.module.weight.item() == pytest.approx(400 - 9, abs=0.1)


def test_training_goes_on_undisturbed():
    average, generator = moving(5, decay=0.9)
    average.module.weight.data.fill_(100)
    assert generator.weight.item() == 5


def test_an_average_loaded_elsewhere_goes_on_the_same():
    first, generator = moving(7, decay=0.95)
    second = GeneratorAverage(nn.Linear(1, 1), 0.95)
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.update(generator)
    assert torch.equal(first.module.weight, second.module.weight)
