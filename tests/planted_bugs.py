"""Mistakes that would break the guarantee, each planted in the code's own text, and the test that catches it.

docs/privacy.md shows the table; ``tests/test_planted_bugs.py`` plants each, runs its test and wants to see it fail.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from cohorts import splits
from privacy.ledger import people
from privacy.ledger.ledger import Ledger
from privacy.mechanisms import gradient_noise, histograms, poisson_sampling
from privacy.mechanisms.dpsgd import DPSGD
from privacy.mechanisms.histograms import NoisyHistograms
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.moments import NoisyMoments
from privacy.mechanisms.standard_normal import StandardNormals
from privacy.mechanisms.two_way_tables import NoisyTables, Parts
from privacy.policies import bought
from privacy.policies.in_secret import InSecret
from privacy.statements.declared_budget import DeclaredBudget
from trainables.gan.engine import RandomStreams
from trainables.gan.opacus_engine import OpacusEngine, SafeDPOptimizer
from trainables.gan.packed import clipping, steps
from trainables.gan.packed.batch_stream import BatchStream
from trainables.gan.packed.packed_trial import PackedTrial
from trainables.gan.packed_engine import PackedEngine

MEASUREMENTS = "tests/privacy/test_measurements.py"
TABLES = "tests/privacy/test_two_way_tables.py"
SEEN = "tests/privacy/test_noise_is_all_that_is_seen.py"
THE_SAME = f"{SEEN}::test_whoever_the_participants_are_the_same_noisy_numbers_release_the_same"
STEPS = "tests/trainables/test_every_step_is_the_mechanism.py"


@dataclass(frozen=True)
class PlantedBug:
    """A mistake.

    Args:
        what: it is, as the table says it.
        where: the function that has it.
        before, after: a piece of its text, and what stands there instead.
        caught_by: the test that fails then.
    """

    what: str
    where: Callable[..., Any]
    before: str
    after: str
    caught_by: str

    @contextmanager
    def planted(self) -> Iterator[None]:
        """As long as this lasts, everybody who calls the function has the mistake."""
        function = inspect.unwrap(getattr(self.where, "fget", None) or getattr(self.where, "__func__", self.where))
        assert isinstance(function, FunctionType)
        sound = function.__code__
        function.__code__ = self._mistaken(function).__code__
        try:
            yield
        finally:
            function.__code__ = sound

    def _mistaken(self, function: FunctionType) -> FunctionType:
        text = textwrap.dedent(inspect.getsource(function))
        assert text.count(self.before) == 1, f"{self.before!r} stands {text.count(self.before)} times in the function"
        module = ast.parse(text.replace(self.before, self.after))
        (definition,) = module.body
        assert isinstance(definition, ast.FunctionDef)
        definition.decorator_list = []
        code = compile(module, inspect.getfile(function), "exec", __future__.annotations.compiler_flag)
        found: dict[str, Any] = {}
        exec(code, function.__globals__, found)
        return found[function.__name__]


PLANTED = [
    PlantedBug(
        "noise is used again in the next step",
        StandardNormals.draw,
        "numbers, self._drawn = self._drawn[:count], self._drawn[count:]",
        "numbers = self._drawn[:count].copy()",
        f"{STEPS}::test_no_step_uses_the_noise_of_another[PackedEngine]",
    ),
    PlantedBug(
        "Adam's second moment is that of the gradient before noise (packed)",
        steps.discriminator_step,
        "    add_noise(slots, block)\n    adam_step(slots.discriminators)\n",
        "    clean, second = slots.discriminators.gradient.clone(), slots.discriminators.second.clone()\n"
        "    add_noise(slots, block)\n    adam_step(slots.discriminators)\n"
        "    slots.discriminators.second.copy_(0.999 * second + 0.001 * clean**2)\n",
        f"{STEPS}::test_adam_remembers_the_noisy_gradients_and_nothing_else[PackedEngine]",
    ),
    PlantedBug(
        "Adam's second moment is that of the gradient before noise (Opacus)",
        SafeDPOptimizer.add_noise,
        "    if self.mechanism.noisy:\n",
        "    for each in self.params:\n"
        "        state = self.original_optimizer.state[each]\n"
        "        if 'exp_avg_sq' in state:\n"
        "            state['exp_avg_sq'] += 0.001 * each.summed_grad**2\n"
        "    if self.mechanism.noisy:\n",
        f"{STEPS}::test_adam_remembers_the_noisy_gradients_and_nothing_else[OpacusEngine]",
    ),
    PlantedBug(
        "a bias gets no noise (packed)",
        steps.add_noise,
        "hide_sum(row, trial.noise_sd, trial.normals.draw(len(row)))",
        "hide_sum(row[:-1], trial.noise_sd, trial.normals.draw(len(row) - 1))",
        f"{STEPS}::test_every_number_of_every_gradient_is_hidden[PackedEngine]",
    ),
    PlantedBug(
        "a bias gets no noise (Opacus)",
        SafeDPOptimizer.add_noise,
        "hide_sum(total, self.noise_sd, self.normals.draw(len(total)))",
        "hide_sum(total[:-3], self.noise_sd, self.normals.draw(len(total) - 3))",
        f"{STEPS}::test_every_number_of_every_gradient_is_hidden[OpacusEngine]",
    ),
    PlantedBug(
        "every segment has the same noise",
        RandomStreams.secret,
        "cls(CryptographicStream(), CryptographicStream(), inputs",
        "cls(CryptographicStream(), CryptographicStream(bytes(16)), inputs",
        f"{STEPS}::test_no_two_segments_and_no_two_purposes_share_random_numbers",
    ),
    PlantedBug(
        "noise and batches are drawn from equal seeds",
        RandomStreams.secret,
        "return cls(CryptographicStream(), CryptographicStream(), inputs",
        "key = inputs.get_state().numpy().tobytes()[24:40]\n"
        "    return cls(CryptographicStream(key), CryptographicStream(key), inputs",
        f"{STEPS}::test_no_two_segments_and_no_two_purposes_share_random_numbers",
    ),
    PlantedBug(
        "batches are of a fixed size (Opacus)",
        OpacusEngine.train,
        "poisson_batch(len(paid.data.features), paid.mechanism.sampling_rate, paid.streams.participants)",
        "np.random.permutation(len(paid.data.features))[: round(expected_batch)]",
        f"{STEPS}::test_batches_are_as_long_as_tossed_coins_make_them[OpacusEngine]",
    ),
    PlantedBug(
        "batches are of a fixed size (packed)",
        BatchStream._draw_ahead,
        "    inputs = self._inputs(steps, generated)\n",
        "    sizes = [min(generated, len(self._data.arms))] * steps\n"
        "    chosen = torch.cat([torch.randperm(len(self._data.arms))[:each] for each in sizes]).numpy()\n"
        "    inputs = self._inputs(steps, generated)\n",
        f"{STEPS}::test_batches_are_as_long_as_tossed_coins_make_them[PackedEngine]",
    ),
    PlantedBug(
        "batches are cut at twice their expected size (packed)",
        BatchStream._draw_ahead,
        "    inputs = self._inputs(steps, generated)\n",
        "    batches = [each[: 2 * generated] for each in torch.from_numpy(chosen).split(sizes)]\n"
        "    chosen, sizes = torch.cat(batches).numpy(), [len(each) for each in batches]\n"
        "    inputs = self._inputs(steps, generated)\n",
        f"{STEPS}::test_batches_are_as_long_as_tossed_coins_make_them[PackedEngine]",
    ),
    PlantedBug(
        "batches are cut at twice their expected size (Opacus)",
        OpacusEngine.train,
        "paid.streams.participants)\n",
        "paid.streams.participants)[: 2 * generated]\n",
        f"{STEPS}::test_batches_are_as_long_as_tossed_coins_make_them[OpacusEngine]",
    ),
    PlantedBug(
        "coins are not independent: the first of a step falls as the last of the step before",
        poisson_sampling._heads,
        "return places[places < coins].astype(np.int64)",
        "return np.unique(places[places < coins].astype(np.int64) // 2 * 2)",
        "tests/privacy/test_poisson.py::test_every_participant_is_as_likely_as_any_other",
    ),
    PlantedBug(
        "empty batches are left out (Opacus)",
        OpacusEngine._discriminator_step,
        "    synthetic, synthetic_arms = self._generate(generated, streams)\n",
        "    if not len(batch):\n        return\n    synthetic, synthetic_arms = self._generate(generated, streams)\n",
        f"{STEPS}::test_as_many_steps_are_taken_as_were_paid_for[31-OpacusEngine]",
    ),
    PlantedBug(
        "empty batches get no noise where trials share a pack",
        steps.add_noise,
        "if trial.mechanism.noisy:",
        "if trial.mechanism.noisy and (len(block.trials) == 1 or len(trial.batch_stream._data.arms)):",
        f"{STEPS}::test_trials_that_share_a_pack_hide_an_empty_batch_like_any_other",
    ),
    PlantedBug(
        "trials that share a pack share their noise",
        steps.add_noise,
        "trial.normals.draw(len(row))",
        "block.__dict__.setdefault(trial.batch_stream.done, trial.normals.draw(len(row))).copy()",
        f"{STEPS}::test_trials_that_share_a_pack_hide_an_empty_batch_like_any_other",
    ),
    PlantedBug(
        "10 % more steps are taken than were charged (Opacus)",
        OpacusEngine.train,
        "range(paid.mechanism.steps)",
        "range(round(1.1 * paid.mechanism.steps))",
        f"{STEPS}::test_as_many_steps_are_taken_as_were_paid_for[31-OpacusEngine]",
    ),
    PlantedBug(
        "10 % more steps are taken than were charged (packed)",
        PackedEngine.train,
        "    pack = self.new_pack()\n",
        "    paid = type(paid)(paid.data, paid.mechanism.of_steps(round(1.1 * paid.mechanism.steps)), paid.streams)\n"
        "    pack = self.new_pack()\n",
        f"{STEPS}::test_as_many_steps_are_taken_as_were_paid_for[31-PackedEngine]",
    ),
    PlantedBug(
        "10 % fewer steps are charged than were asked for",
        DPSGD.event,
        "(self.unit, self.steps)",
        "(self.unit, round(self.steps / 1.1))",
        "tests/privacy/test_accounting.py::test_opacus_and_dp_accounting_agree_on_the_same_orders",
    ),
    PlantedBug(
        "noise is scaled by the true size of the batch",
        OpacusEngine._discriminator_step,
        "        losses.sum().backward()\n",
        "        self._discriminator_optimizer.expected_batch_size = max(1, len(batch))\n"
        "        losses.sum().backward()\n",
        f"{STEPS}::test_the_gradient_is_scaled_by_what_is_public[OpacusEngine]",
    ),
    PlantedBug(
        "noise does not grow with the clip norm",
        PackedTrial.noise_sd,
        "self.mechanism.noise_sd(self.expected_batch) /",
        "self.mechanism.noise_multiplier /",
        f"{STEPS}::test_what_was_paid_for_is_what_is_trained[PackedEngine]",
    ),
    PlantedBug(
        "gradients are clipped to twice the clip norm",
        clipping.clip_factors,
        "clip_norms /",
        "2 * clip_norms /",
        f"{STEPS}::test_one_participant_moves_a_step_by_no_more_than_the_clip_norm[PackedEngine]",
    ),
    PlantedBug(
        "noise is not rounded to the grid",
        gradient_noise.hide_sum,
        ".round_()",
        "",
        "tests/trainables/test_precision_attack.py::test_every_gradient_lies_on_one_grid_whose_low_bits_are_fair",
    ),
    PlantedBug(
        "scores are exact in a search by a secret number of runs",
        InSecret.scores,
        "reading.mechanism.auc_metrics(judge.classifiers, judge.rankings(people), people.labels)",
        "judge.exact(people)",
        "tests/privacy/test_scores_have_noise.py::test_scores_that_leave_a_policy_have_the_noise_that_was_charged",
    ),
    PlantedBug(
        "the surrogate's moments are those of all splits",
        splits.split_cohort,
        "zip(SPLITS, parts, strict=True)",
        "zip(SPLITS, (cohort.unseal(seal), *parts[1:]), strict=True)",
        "tests/privacy/test_surrogate.py::test_the_surrogate_is_bought_of_the_training_split_alone",
    ),
    PlantedBug(
        "histograms are left out of the charge",
        Measurements.event,
        "[self.histograms.event, self.moments.event, *of_tables]",
        "[self.moments.event, *of_tables]",
        f"{MEASUREMENTS}::test_what_is_charged_is_all_of_it_and_no_more_than_was_asked_for",
    ),
    PlantedBug(
        "noise of histograms is half of what is charged",
        NoisyHistograms.release,
        "self._noise.release(counts)",
        "(np.add(self._noise.release(counts), counts) / 2)",
        f"{MEASUREMENTS}::test_counts_carry_the_noise_that_is_charged",
    ),
    PlantedBug(
        "a participant counts in both classes' histograms",
        histograms.class_counts,
        "return np.bincount(",
        "both = np.bincount((places % total).ravel(), minlength=total).astype(np.float64)\n"
        "    return np.tile(both, 2) + 0 * np.bincount(",
        f"{MEASUREMENTS}::test_no_participant_changes_counts_by_more_than_the_root_of_the_number_of_cells",
    ),
    PlantedBug(
        "who is at a limit counts in the bin, too",
        histograms.separate_counts,
        "counts[:, _outermost(bins)] -= limits",
        "counts[:, _outermost(bins)] -= 0 * limits",
        f"{MEASUREMENTS}::test_no_participant_changes_counts_by_more_than_the_root_of_the_number_of_cells",
    ),
    PlantedBug(
        "noise of products is half of what is charged",
        NoisyMoments.release,
        "self._noise.release(statistic)",
        "np.add(self._noise.release(statistic), statistic) / 2",
        "tests/privacy/test_moments.py::test_the_noise_of_the_mean_is_what_the_scale_says",
    ),
    PlantedBug(
        "the choice of tables is left out of the charge",
        NoisyTables.event,
        "[self.chosen.event, self._noise(1).event]",
        "[self._noise(1).event]",
        f"{TABLES}::test_what_is_charged_is_the_choice_and_the_counts",
    ),
    PlantedBug(
        "tables are chosen without noise",
        NoisyTables.release,
        "self.chosen.release(found.gained)",
        "np.argsort(-found.gained)[: self.chosen.count]",
        f"{TABLES}::test_noise_decides_where_there_is_more_of_it_than_is_gained",
    ),
    PlantedBug(
        "noise of tables is half of what is charged",
        NoisyTables.release,
        "counts = np.split(noisy,",
        "counts = np.split((noisy + np.concatenate([each.ravel() for each in exact])) / 2,",
        f"{TABLES}::test_counts_carry_the_noise_that_is_charged",
    ),
    PlantedBug(
        "a participant counts for two in a table",
        Parts.counts,
        "block, 1, axis=1)",
        "block, 2**0.5, axis=1)",
        f"{TABLES}::test_no_participant_changes_a_gain_or_a_table_by_more_than_one",
    ),
    PlantedBug(
        "participants who validate are measured without a charge",
        Ledger.read_together,
        "[Charge.of(mechanism, each, purpose) for each in cohorts]",
        "[Charge.of(mechanism, each, purpose) for each in cohorts[:1]]",
        "tests/privacy/test_measured_once.py::test_both_splits_are_charged_the_whole_of_epsilon_and_no_more",
    ),
    PlantedBug(
        "a charge leaves no receipt",
        Ledger.charge,
        "self._keep_receipt(receipt)",
        "pass",
        "tests/privacy/test_ledger_receipts.py::test_a_charge_that_is_taken_out_is_missed_as_a_look_is",
    ),
    PlantedBug(
        "another study's measurements pass for those that were paid for",
        bought._kept,
        "not ledger.settled(study, BOUGHT, _digest(text))",
        "not text",
        "tests/privacy/test_measured_once.py::test_another_studys_measurements_are_not_taken_for_those_that_were_paid_for",
    ),
    PlantedBug(
        "what is published after adoption tells whether everybody takes part again",
        people.generation_of,
        "(adopt and not journal.public)",
        "False",
        "tests/privacy/test_adopted_ledgers.py::test_what_is_published_after_adoption_does_not_tell_who_takes_part",
    ),
    PlantedBug(
        "a statement tells how often a search by a secret number of runs was resumed",
        DeclaredBudget.of,
        "str(summary.last_reading)",
        "str(summary.receipt)",
        "tests/privacy/test_secret_runs_account.py::"
        "test_what_is_published_of_the_ledger_does_not_tell_how_often_the_search_was_resumed[5]",
    ),
    PlantedBug(
        "what tables are compared with knows how many there are of each class",
        Measurements.release,
        "tables = self.tables.release(values, labels, measured.known(normal_scores))",
        "sizes = [int((labels == each).sum()) for each in range(len(measured.histograms))]\n"
        "        tables = self.tables.release(values, labels, replace(measured.known(normal_scores), sizes=sizes))",
        f"{THE_SAME}[survival-half of them]",
    ),
    PlantedBug(
        "shares in a table are of how many participants there are",
        NoisyTables.release,
        "sum(known.sizes)",
        "len(labels)",
        f"{THE_SAME}[missed visits-half of them]",
    ),
    PlantedBug(
        "products of a class without anybody get no noise",
        NoisyMoments.release,
        "triangles = np.split(self._noise.release(statistic), len(self.expected))",
        "noisy = self._noise.release(statistic).reshape(len(self.expected), -1)\n"
        "    noisy[~statistic.reshape(noisy.shape).any(axis=1)] = 0\n"
        "    triangles = list(noisy)",
        f"{THE_SAME}[survival-nobody of a class]",
    ),
    PlantedBug(
        "no tables are bought where there are too few participants",
        NoisyTables.release,
        "found, participants =",
        "if len(labels) < self.expected / 2:\n        return ()\n    found, participants =",
        f"{THE_SAME}[survival-half of them]",
    ),
    PlantedBug(
        "how many parts a table has follows from how many participants there are",
        NoisyTables.gains,
        "parts = Parts(known.scores, self.parts)",
        "fitting = int(math.sqrt(len(labels) / (NOISES_PER_PART * self.noise_sd)))\n"
        "    parts = Parts(known.scores, min(MOST_PARTS, max(FEWEST_PARTS, fitting)))",
        f"{THE_SAME}[survival-four times as many]",
    ),
    PlantedBug(
        "a class is taken for no smaller than half of what it is",
        NoisyMoments.release,
        "return tuple(map(self._products, triangles, self.expected))",
        "real = np.bincount(np.asarray(labels, dtype=int), minlength=len(self.expected)).clip(1)\n"
        "    return tuple(map(self._products, triangles, real))",
        f"{THE_SAME}[survival-four times as many]",
    ),
    PlantedBug(
        "outcomes are ranked among participants",
        Measurements.release,
        "normal_scores.scores(values, labels) / LIMIT",
        "normal_scores.as_defined(normal_scores.scores(values, labels), labels) / LIMIT",
        f"{SEEN}::test_nobody_moves_it_by_more_where_hardly_anybody_takes_part[survival]",
    ),
]
