"""One Ray actor through which trials on every node write to the ledger's file, and the client they carry.

The actor stays on the node where it was started, because SQLite's log cannot be shared between machines. When it dies
Ray starts it again there and it reads the file back; it has nothing to lose that is not in the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cohorts import Cohort, Schema, Split, split_key
from cohorts.cohort import seal_key
from privacy.errors import BudgetExhausted, LedgerError, LedgerUnavailable
from privacy.ledger.charge import Charge, Purpose, split_of
from privacy.ledger.filter import Declaration
from privacy.ledger.identity import Binding
from privacy.ledger.ledger import Ledger
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt
from privacy.ledger.secret_runs import SecretRuns, unit_text

NAME = "dpgan-tune-ledger"
PATIENCE_S = 120.0
PAUSE_S = 0.1


class LedgerServer:
    """What runs in the actor: the open ledger.

    Args:
        file: the ledger; it must exist.
        binding: whose participants are charged.
        receipt: one from before; the file must contain it.
    """

    def __init__(self, file: Path, binding: Binding, receipt: Receipt | None) -> None:
        self._ledger = Ledger.open(file)
        self._ledger.binding = binding
        self._ledger.verify([receipt] if receipt else [])

    def file(self) -> Path:
        """Where the ledger lies."""
        return self._ledger.file

    def charge(self, charges: Charge | Sequence[Charge], receipt: Receipt | None) -> Receipt:
        """See ``Ledger.charge``."""
        return self._ledger.charge(charges, receipt)

    def pay(self, schema: Schema, charge: Charge, receipt: Receipt | None) -> tuple[Receipt, bytes]:
        """Charge, and only then hand out the key of the cohort's seal, which lies on this machine."""
        return self._ledger.charge(charge, receipt), seal_key(split_key(schema))

    def take(self, schema: Schema, study: str, run: int, split: Split, unit: str, times: int) -> tuple[Receipt, bytes]:
        """Note what a run of a secret number does, and only then hand out the key; see ``SecretRuns.take``."""
        return SecretRuns(self._ledger, study).take(run, split, unit, times), seal_key(split_key(schema))

    def configurations(self, study: str) -> list[Mapping[str, Any]]:
        """See ``SecretRuns.configurations``; they must have been drawn before."""
        return SecretRuns(self._ledger, study).configurations()

    def left(self, study: str) -> dict[Split, float]:
        """See ``Ledger.left``."""
        return self._ledger.left(study)

    def declaration(self, study: str) -> Declaration | None:
        """What a study declared."""
        counting = self._ledger.books.filters.get(study)
        return counting.declaration if counting else None

    def verify(self, receipts: Sequence[Receipt]) -> Receipt | None:
        """See ``Ledger.verify``; also the receipt of the last entry."""
        self._ledger.verify(receipts)
        return self._ledger.receipt


class LedgerClient:
    """The ledger as a trial sees it; small, and picklable to any node.

    Args:
        actor: from ``serve_ledger``.
        receipt: the last one its holder knows of.
    """

    def __init__(self, actor: Any, receipt: Receipt | None = None) -> None:
        self._actor, self.receipt = actor, receipt

    def charge(self, charges: Charge | Sequence[Charge]) -> Receipt:
        """Write down what is about to be read; read only after this returns.

        A request whose answer was lost with the actor is made again when the actor is back. If the first one had been
        written, both count: too much is counted, never too little.

        Raises:
            BudgetExhausted: nothing was charged and nothing may be read.
            LedgerError: the ledger is not what it should be, or gone; nothing may be read.
        """
        receipt: Receipt = self._ask(lambda: self._actor.charge.remote(charges, self.receipt))
        self._remember(receipt)
        return receipt

    def read(self, cohort: Cohort, mechanism: M, purpose: Purpose) -> Reading[M]:
        """The door: write down what is about to be run on participants, then open them for that; see ``Ledger.read``.

        Errors are those of ``charge``.
        """
        charge = Charge.of(mechanism, cohort, purpose)
        receipt, key = self._ask(lambda: self._actor.pay.remote(cohort.schema, charge, self.receipt))
        self._remember(receipt)
        return Reading(cohort.unseal(key), mechanism, receipt)

    def _remember(self, receipt: Receipt) -> None:
        """Keep the latest receipt; threads that lose one to each other ask the ledger for no less than it has."""
        self.receipt = max(self.receipt, receipt) if self.receipt else receipt

    def read_run(self, cohort: Cohort, study: str, run: int, mechanism: M) -> Reading[M]:
        """The door for a part of one of a secret number of runs; see ``SecretRuns.read``."""
        asked = (cohort.schema, study, run, split_of(cohort), unit_text(mechanism), mechanism.times)
        paid, key = self._ask(lambda: self._actor.take.remote(*asked))
        return Reading(cohort.unseal(key), mechanism, paid)

    def configurations(self, study: str) -> list[Mapping[str, Any]]:
        """Configurations of a study's secret number of runs, which were drawn before."""
        return list(self._ask(lambda: self._actor.configurations.remote(study)))

    def left(self, study: str) -> dict[Split, float]:
        """Renyi divergence that a declared study may still spend on each split."""
        return dict(self._ask(lambda: self._actor.left.remote(study)))

    def declaration(self, study: str) -> Declaration | None:
        """What a study declared."""
        declaration: Declaration | None = self._ask(lambda: self._actor.declaration.remote(study))
        return declaration

    def verify(self, receipts: Sequence[Receipt] = ()) -> Receipt | None:
        """Have the whole file checked, with receipts and the last one that came here; the last entry's receipt."""
        own = [self.receipt] if self.receipt else []
        last: Receipt | None = self._ask(lambda: self._actor.verify.remote([*receipts, *own]))
        return last

    def _ask(self, request: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return ray.get(request())
            except RayTaskError as error:
                raise (error.cause if isinstance(error.cause, LedgerError | BudgetExhausted) else error) from None
            except ActorUnavailableError:
                self._wait_for_actor(deadline)
            except RayActorError as error:
                raise _gone(error) from None

    def _wait_for_actor(self, deadline: float) -> None:
        """Wait for an answer to a question that charges nothing."""
        while True:
            time.sleep(PAUSE_S)
            try:
                ray.get(self._actor.file.remote())
                return
            except ActorUnavailableError:
                if time.monotonic() > deadline:
                    raise LedgerUnavailable(
                        f"The ledger did not come back within {PATIENCE_S:.0f} s after its process died, so nothing "
                        "may be read. Check the machine that the study was started on, then resume the study."
                    ) from None
            except RayActorError as error:
                raise _gone(error) from None


def serve_ledger(ledger: Ledger) -> LedgerClient:
    """Start the one actor of this driver that serves a ledger's file, on the driver's node, or find it started.

    Args:
        ledger: open here and bound to its cohort; it may be used and closed afterwards as before.

    Raises:
        LedgerError: when the file is not there or not whole, or this driver already serves another.
    """
    if ledger.binding is None:
        raise LedgerError(f"The ledger {ledger.file} is not bound to a cohort; open it for one first.")
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = (
        ray.remote(LedgerServer)
        .options(
            name=NAME,
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=0,
            enable_task_events=False,  # how often it was asked would tell the number of secret runs
            scheduling_strategy=here,
        )
        .remote(ledger.file.resolve(), ledger.binding, ledger.receipt)
    )
    client = LedgerClient(actor, ledger.receipt)
    served = client._ask(lambda: actor.file.remote())
    if served != ledger.file.resolve():
        raise LedgerError(f"This study already serves the ledger {served}, not {ledger.file}; a study has one cohort.")
    return client


def _gone(error: RayActorError) -> LedgerError:
    """Why an actor that will not come back is gone, in one paragraph."""
    said = str(error)
    for kind in (LedgerUnavailable, LedgerError) if isinstance(error, ActorDiedError) else ():
        lines = [line for line in said.splitlines() if f"{kind.__name__}: " in line]
        if lines:
            return kind(lines[-1].partition(f"{kind.__name__}: ")[2].strip())
    return LedgerUnavailable(
        "The ledger's process is gone for good, so nothing may be read. Check the machine that the study was started "
        f"on, then resume the study. Ray says: {said[:300]}"
    )
