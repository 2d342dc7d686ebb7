"""From a command line to a study that may start: every setting checked before anything is written."""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import secrets
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from analysis import StudyDirectory, StudySettings
from analysis.study import STUDY_NAME
from cohorts import SPLITS, Cohort, Schema, SplitShares, load_cohort, resolve_schema, storage
from privacy.ledger.first_ledger import ledgers_named_in, require_ledger
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.plan import StudyPlan
from privacy.policies import DEFAULT, policies, policy_named
from privacy.policies.policy import Policy
from privacy.versions import installed_versions
from search_spaces import SearchSpace, load_search_space
from trainables.gan.engine import PublicFigures, grid
from trainables.gan.hyperparameters import PACKED_NETWORKS, GANSettings
from trainables.gan.networks import build_networks
from trainables.scoring import require_scored_by
from tuner.domains import domains
from tuner.errors import StudyError
from tuner.options import DEFAULTS, RESULTS
from tuner.plan import plan_study
from tuner.presets import preset_named
from tuner.priced_spaces import require_affordable, require_used

FEWEST_EXPECTED = 3
MOST = 1_000_000  # trials, or epochs of one
LARGEST_EPSILON = 1_000.0
RECORDED_PACKAGES = ("dpgan-tune", "dp-accounting", "opacus", "optuna", "ray", "scikit-learn", "torch")


@dataclass(frozen=True)
class StudyRequest:
    """A study whose inputs were all found in order.

    Args:
        settings: what is asked for, as study.json keeps it.
        directory: where it is or will be written.
        space: the search space.
        cohort: all participants, sealed, whose ledger is charged.
        plan: how the study is carried out, and what it declares is divided.
        resumed: whether the study was begun earlier.
        adopt_ledger: whether a ledger begun with other files or another schema is this cohort's all the same.
        other_people: cohorts whose participants are others, though their ledgers may know the same identifiers.
        new_ledger: whether a private cohort's ledger is begun, if it has none.
        ledgers_elsewhere: outside the folders for ledgers, named by studies beside this one.
    """

    settings: StudySettings
    directory: StudyDirectory
    space: SearchSpace
    cohort: Cohort
    plan: StudyPlan
    resumed: bool
    adopt_ledger: bool
    other_people: tuple[str, ...]
    new_ledger: bool
    ledgers_elsewhere: tuple[Path, ...]


@dataclass(frozen=True)
class StudyOutline:
    """As much of a request as can be told without the participants.

    Args:
        settings: what is asked for.
        directory: where it is or will be written.
        schema: of the cohort.
        space: the search space.
        plan: how the study is carried out, and what it declares is divided.
    """

    settings: StudySettings
    directory: StudyDirectory
    schema: Schema
    space: SearchSpace
    plan: StudyPlan


def outline_study(arguments: argparse.Namespace) -> StudyOutline:
    """Check a command line and plan what it asks for, reading nobody.

    Raises:
        StudyError, CohortError, SearchSpaceError, AnalysisError, PlanError, LedgerError, ExtensionError: one paragraph
            saying what to mend.
    """
    if arguments.resume:
        directory, settings = _settings_of_resumed(arguments)
    else:
        settings = _settings_of_new(arguments)
        directory = StudyDirectory(arguments.out / settings.study)
        _check_places(directory, settings)
    schema = resolve_schema(settings.cohort)
    space = load_search_space(settings.search_space, domains())
    _check_schema(schema, settings, space)
    require_used(settings, space)
    digests = _digests(schema, space)
    if arguments.resume:
        _check_unchanged(settings, digests)
        plan = directory.declared_plan().plan
        require_scored_by(plan.scored_by, schema)
    else:
        plan = plan_study(settings, schema, space)
        require_affordable(settings, schema, space, plan)
        settings = settings.model_copy(update={"digests": digests, "shares": plan.shares})
    _check_splits(schema, settings.shares)
    return StudyOutline(settings, directory, schema, space, plan)


def request_study(arguments: argparse.Namespace) -> StudyRequest:
    """Check a command line and load what it names. Nothing is written.

    Raises:
        StudyError, CohortError, SearchSpaceError, AnalysisError, PlanError, LedgerError, ExtensionError: one paragraph
            saying what to mend.
    """
    outline = outline_study(arguments)
    settings, schema = outline.settings, outline.schema
    digest = settings.digests["cohort"]
    require_ledger(settings.cohort, schema, settings.ledger, arguments.out, arguments.new_ledger, digest)
    return StudyRequest(
        outline.settings,
        outline.directory,
        outline.space,
        load_cohort(outline.settings.cohort, outline.settings.data_dir),
        outline.plan,
        resumed=arguments.resume,
        adopt_ledger=arguments.adopt_ledger or outline.schema.public,
        other_people=tuple(arguments.other_people),
        new_ledger=arguments.new_ledger,
        ledgers_elsewhere=ledgers_named_in(arguments.out),
    )


def _settings_of_new(arguments: argparse.Namespace) -> StudySettings:
    """Settings from the options given and the defaults of the others."""
    preset = preset_named(arguments.preset).defaults if arguments.preset else {}
    policy = policy_named(arguments.policy or preset.get("policy", DEFAULT))
    defaults = {**DEFAULTS, **policy.defaults, **preset}
    chosen = {name: _given(arguments, name, default) for name, default in defaults.items()}
    _check_numbers(chosen)
    _check_copies(chosen["copies"], policy)
    cohort = str(chosen["cohort"])
    if cohort.endswith((".yaml", ".yml")):
        cohort = str(Path(cohort).resolve())
    name = arguments.study or f"{Path(cohort).stem}-{secrets.token_hex(3)}"  # no time: it could tell how long it took
    if not re.fullmatch(STUDY_NAME, name):
        raise StudyError(
            f"--study {name[:120]!r} cannot be a study's name. Use letters, digits, dots, dashes and underscores, "
            "beginning with a letter or a digit, at most 100 in all: the name becomes a folder."
        )
    try:
        return StudySettings(
            study=name,
            cohort=cohort,
            data_dir=chosen["data"] and chosen["data"].resolve(),
            search_space=_resolved_space(chosen["search_space"]),
            policy=policy.name,
            preset=chosen["preset"],
            epsilon=chosen["epsilon"],
            delta=chosen["delta"],
            search_minutes=chosen["search_minutes"],
            trials=chosen["trials"],
            max_epochs=chosen["max_epochs"],
            engine=chosen["engine"],
            copies=chosen["copies"],
            seed=chosen["seed"],
            cpus_per_trial=chosen["cpus_per_trial"],
            gpus_per_trial=chosen["gpus_per_trial"],
            ledger=chosen["ledger"] and chosen["ledger"].resolve(),
            storage=_resolved_storage(chosen["storage"]),
            created=datetime.now(UTC),
            versions=installed_versions(RECORDED_PACKAGES),
        )
    except ValidationError as error:
        raise StudyError(_unusable(error)) from None


def _unusable(error: ValidationError) -> str:
    """Which option holds what no study can have, and why, in pydantic's words."""
    fault = error.errors(include_url=False)[0]
    given = repr(fault["input"])
    return f"--{str(fault['loc'][0]).replace('_', '-')} {given[:100]} cannot be used: {fault['msg'].lower()}."


def _given(arguments: argparse.Namespace, name: str, default: Any) -> Any:
    value = getattr(arguments, name)
    return default if value is None else value


def _resolved_space(name: str) -> str:
    return str(Path(name).resolve()) if name.endswith((".yaml", ".yml")) else name


def _resolved_storage(storage: str | None) -> str | None:
    """The storage as Ray Tune takes it: a URI as given, a path absolute."""
    return storage if storage is None or "://" in storage else str(Path(storage).resolve())


def _check_places(directory: StudyDirectory, settings: StudySettings) -> None:
    """Raise StudyError where the study's folders are taken or cannot be made."""
    if directory.path.exists():
        raise StudyError(
            f"A study named {settings.study} is already at {directory.path}. Choose another --study name, or resume "
            f"that one: --study {settings.study} --resume."
        )
    storage = settings.storage if settings.storage and "://" not in settings.storage else None
    for option, place in (("--out", directory.path.parent), ("--storage", storage and Path(storage))):
        if place and _nearest(place).is_file():
            raise StudyError(f"{option} {place} cannot be a folder, because a file is in its place. Name another.")
    if storage:
        _check_can_be_made(Path(storage))


def _nearest(place: Path) -> Path:
    """The place itself, or the first of its parents that is there."""
    return next(part for part in (place, *place.parents) if part.exists())


def _check_can_be_made(storage: Path) -> None:
    """Raise StudyError where a folder cannot be made: Ray would find out after participants were paid for."""
    try:
        with TemporaryDirectory(dir=_nearest(storage), prefix=".dpgan-tune-"):
            pass
    except OSError as error:
        raise StudyError(
            f"--storage {storage} cannot be written ({error.strerror}). Name a folder that all machines can reach."
        ) from None


def _check_numbers(chosen: dict[str, Any]) -> None:
    """The numbers argparse lets through but no study can use."""
    if not 0 < chosen["epsilon"] <= LARGEST_EPSILON:
        raise StudyError(
            f"--epsilon {chosen['epsilon']} is not a privacy budget. Give a number above 0, such as 3.5; above "
            f"{LARGEST_EPSILON:g} nothing is promised that anybody could tell from no promise."
        )
    if not 0 < chosen["delta"] < 1:
        raise StudyError(
            f"--delta {chosen['delta']} is not a probability that a guarantee can leave out. Give a number between 0 "
            "and 1, well below one over the number of participants, such as 1e-5."
        )
    if chosen["search_minutes"] is not None and not 0 < chosen["search_minutes"] < float("inf"):
        raise StudyError(f"--search-minutes {chosen['search_minutes']} is not a duration. Give a number above 0.")
    if chosen["seed"] is not None and not 0 <= chosen["seed"] < 2**32:
        raise StudyError(f"--seed {chosen['seed']} is out of range. Give a whole number from 0 to {2**32 - 1}.")
    for option in ("trials", "max_epochs"):
        if chosen[option] < 1:
            raise StudyError(f"--{option.replace('_', '-')} {chosen[option]} leaves nothing to do. Give 1 or more.")
        if chosen[option] > MOST:
            raise StudyError(f"--{option.replace('_', '-')} is more than any machine could do. Give {MOST:,} or less.")


def _check_copies(copies: int, policy: Policy) -> None:
    """Raise StudyError for a number of copies that a release cannot have."""
    if copies and "copies" not in policy.defaults:
        able = " or ".join(each.name for each in policies() if "copies" in each.defaults)
        raise StudyError(
            f"--copies {copies} was given, but under the policy {policy.name} nothing is measured that copies could be "
            f"drawn from. Leave --copies out, or use --policy {able}."
        )
    if copies < 0 or copies == 1:
        raise StudyError(
            f"--copies {copies} tells nothing: an interval needs copies that can differ. Give 2 or more, 10 being "
            "usual, or 0 for none."
        )


def _settings_of_resumed(arguments: argparse.Namespace) -> tuple[StudyDirectory, StudySettings]:
    """Settings of an earlier study, which a resumed one keeps."""
    changed = [name for name in DEFAULTS if getattr(arguments, name) is not None]
    if changed:
        options = ", ".join("--" + name.replace("_", "-") for name in changed)
        raise StudyError(
            f"A resumed study keeps the settings it began with, so {options} cannot be given with --resume. Leave it "
            "out, or begin a new study."
        )
    known = sorted(file.parent.name for file in arguments.out.glob("*/study.json"))
    existing = f"Studies in {arguments.out}: {', '.join(known)}." if known else f"There is no study in {arguments.out}."
    if arguments.study is None:
        raise StudyError(f"--resume needs to know which study: give --study NAME. {existing}")
    if arguments.study not in known:
        raise StudyError(f"There is no study {arguments.study} in {arguments.out} to resume. {existing}")
    directory = StudyDirectory(arguments.out / arguments.study)
    return directory, directory.settings()


def _digests(schema: Schema, space: SearchSpace) -> dict[str, str]:
    """SHA-256 of what the files behind two options say, whatever they look like."""
    said = {"cohort": schema.of_the_trial.model_dump_json(exclude_defaults=True), "search_space": space.to_yaml()}
    return {option: hashlib.sha256(text.encode()).hexdigest() for option, text in said.items()}


def _check_unchanged(settings: StudySettings, digests: dict[str, str]) -> None:
    """Raise StudyError where a file no longer says what the study began with."""
    for option, began_with in settings.digests.items():
        if digests[option] != began_with:
            raise StudyError(
                f"{getattr(settings, option)} has been changed since the study {settings.study} began "
                f"(--{option.replace('_', '-')}), and a resumed study goes on as it began. Put the file back as it "
                "was, or begin a new study."
            )


def _check_schema(schema: Schema, settings: StudySettings, space: SearchSpace) -> None:
    if settings.delta > 1 / schema.nominal_size:
        raise StudyError(
            f"--delta {settings.delta:g} is more than one over the {schema.nominal_size} participants that the schema "
            "names. At such a delta a guarantee would allow one person's data to be published whole. Give at most "
            f"{_rounded_down(1 / schema.nominal_size):g}, better 1e-5 or less."
        )
    if settings.seed is not None and not schema.public:
        raise StudyError(
            f"--seed {settings.seed} was given, but the cohort {schema.name} is not marked public. Noise that can be "
            "drawn again protects nobody: leave --seed out."
        )
    if settings.seed is not None and not policy_named(settings.policy).repeatable:
        raise StudyError(
            f"--seed {settings.seed} was given, but under the policy {settings.policy} scores carry noise that cannot "
            "be drawn again. Leave --seed out, or search under a policy whose scores are exact."
        )
    if len(schema.label.classes) < 2 and policy_named(settings.policy).needs_label:
        without = [policy.name for policy in policies() if not policy.needs_label]
        raise StudyError(
            f"The schema of {schema.name} has no label, so there is nothing that a classifier could predict, and the "
            f"policy {settings.policy} chooses by that alone. Use --policy {' or '.join(without)}, or name a label."
        )
    others = sorted(set(map(str, space.values("network"))) - set(PACKED_NETWORKS))
    if others and settings.engine == "packed":
        raise StudyError(
            f"The search space {space.name} asks for the network {others[0]}, which an installed package adds. Only "
            f"the networks {' and '.join(PACKED_NETWORKS)} can be packed; give --engine opacus."
        )
    for other in others:
        public = PublicFigures.of(schema, 1.0)  # a network that cannot be used is found out before anything is paid
        build_networks(GANSettings.model_validate({"network": other}), public.features, public.arms, public.grid)
    if "paper" in space.values("network") and grid(schema) is None:
        raise StudyError(
            f"The search space {space.name} asks for the paper's convolutional network, which needs the same measures "
            f"at every visit and no covariates or categories; {schema.name} has them. Use network: compact."
        )


def _rounded_down(number: float) -> float:
    """A number to one digit, never more than it is."""
    digit = 10.0 ** math.floor(math.log10(number))
    return math.floor(number / digit) * digit


def _check_splits(schema: Schema, shares: SplitShares) -> None:
    """Raise StudyError where public figures expect almost nobody of a class in a split."""
    for split in SPLITS:
        for each in schema.label.classes:
            expected = schema.nominal_size * getattr(shares, split) * each.share
            if expected < FEWEST_EXPECTED:
                raise StudyError(
                    f"According to the schema, only about {expected:.1f} {split} participants are {each.name} "
                    f"({schema.label.name}), too few to predict anything from. The cohort is too small, or one class "
                    "is too rare, to be split in three. Choose another label; or name one class fewer, where two may "
                    "be taken together."
                )


def begin_study(request: StudyRequest, declared: DeclaredPlan) -> None:
    """Write down what a new study is asked to do, and how it divides what it declared."""
    if not request.resumed:
        request.settings.write(request.directory.path)
        storage.write_text(request.directory.plan_file, declared.model_dump_json(indent=2) + "\n")


def resume_command(request: StudyRequest, arguments: argparse.Namespace) -> str:
    """What to type to go on after an interrupt."""
    words = ["python", "tuner/run.py", "--study", request.settings.study, "--resume"]
    if arguments.out != RESULTS:
        words += ["--out", str(arguments.out)]
    if arguments.address is not None:
        words += ["--address", arguments.address]
    return shlex.join(words)
