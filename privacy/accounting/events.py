"""dp_accounting events as JSON, and what is checked before one may stand there.

dp_accounting takes some impossible numbers silently: a negative count lowers the sum, and a Gaussian whose noise
multiplier is an ``int`` is not composed inside ``PoissonSampledDpEvent`` (version 0.6: half the epsilon of the same
event with a float). So an event becomes JSON only after a check, and every number has its field's type.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import dp_accounting
from dp_accounting import dp_event

from privacy.errors import LedgerError

Check = Callable[[float], bool]


def _positive(number: float) -> bool:
    return math.isfinite(number) and number > 0


def _not_negative(number: float) -> bool:
    return math.isfinite(number) and number >= 0


# Class name -> field -> what a legal value is; a field that holds events has None.
NUMBERS: dict[str, dict[str, tuple[type, str, Check]]] = {
    "NoOpDpEvent": {},
    "NonPrivateDpEvent": {},
    "GaussianDpEvent": {"noise_multiplier": (float, "a finite number above 0", _positive)},
    "LaplaceDpEvent": {"noise_multiplier": (float, "a finite number above 0", _positive)},
    "ZCDpEvent": {
        "rho": (float, "a finite number, 0 or more", _not_negative),
        "xi": (float, "a finite number, 0 or more", _not_negative),
    },
    "PoissonSampledDpEvent": {"sampling_probability": (float, "a number from 0 to 1", lambda p: 0 <= p <= 1)},
    "SelfComposedDpEvent": {"count": (int, "a whole number, 1 or more", lambda count: count >= 1)},
    "ComposedDpEvent": {},
    "RepeatAndSelectDpEvent": {
        "mean": (float, "a finite number, 1 or more", lambda mean: math.isfinite(mean) and mean >= 1),
        "shape": (float, "a number, 0 or more", lambda shape: shape >= 0),
    },
}
INNER_EVENT = ("PoissonSampledDpEvent", "SelfComposedDpEvent", "RepeatAndSelectDpEvent")


def event_fields(event: dp_accounting.DpEvent) -> dict[str, Any]:
    """An event as plain values that JSON knows, without loss.

    Raises:
        LedgerError: for an event that the Renyi accountant does not know, or with an impossible number.

    Example:
        >>> step = dp_event.PoissonSampledDpEvent(0.05, dp_event.GaussianDpEvent(1.2))
        >>> canonical_json(event_fields(dp_event.SelfComposedDpEvent(step, 100))["event"]["event"])
        '{"noise_multiplier":1.2,"type":"GaussianDpEvent"}'
        >>> event_from_fields(event_fields(step)) == step
        True
        >>> event_fields(dp_event.GaussianDpEvent(0))
        Traceback (most recent call last):
        privacy.errors.LedgerError: GaussianDpEvent.noise_multiplier is 0; it must be a finite number above 0.
        An event without noise is a NonPrivateDpEvent.
    """
    name = type(event).__name__
    if name not in NUMBERS or type(event) is not getattr(dp_event, name):
        raise LedgerError(
            f"The ledger cannot charge a {name}: Renyi accounting has no figure for it. Use one of "
            f"{', '.join(NUMBERS)}."
        )
    fields: dict[str, Any] = {"type": name}
    for field, (kind, meaning, legal) in NUMBERS[name].items():
        fields[field] = _number(f"{name}.{field}", getattr(event, field), kind, meaning, legal)
    if name in INNER_EVENT:
        fields["event"] = event_fields(event.event)
    if name == "ComposedDpEvent":
        fields["events"] = [event_fields(inner) for inner in event.events]
    return fields


def event_from_fields(fields: Any) -> dp_accounting.DpEvent:
    """The event that ``event_fields`` took apart.

    Raises:
        LedgerError: for anything else.
    """
    try:
        event = _rebuilt(fields)
        if event_fields(event) == _as_now(fields):
            return event
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        pass
    raise LedgerError(
        f"An entry holds {str(fields)[:200]} where an event should be. Another version or something else wrote it: "
        "restore the ledger from a backup, or use the version that wrote it."
    )


def _as_now(fields: Any) -> Any:
    """Fields as this version writes them: version 0.1 wrote infinity as ``inf``."""
    if isinstance(fields, dict):
        return {name: "infinity" if value == "inf" else _as_now(value) for name, value in fields.items()}
    return [_as_now(each) for each in fields] if isinstance(fields, list) else fields


def _rebuilt(fields: dict[str, Any]) -> dp_accounting.DpEvent:
    name = fields["type"]
    values: dict[str, Any] = {field: kind(fields[field]) for field, (kind, _, _) in NUMBERS[name].items()}
    if name in INNER_EVENT:
        values["event"] = _rebuilt(fields["event"])
    if name == "ComposedDpEvent":
        values["events"] = [_rebuilt(inner) for inner in fields["events"]]
    return getattr(dp_event, name)(**values)


def _number(place: str, value: Any, kind: type, meaning: str, legal: Check) -> float | str:
    try:
        number = kind(value)
        usable = number == value and not isinstance(value, bool) and legal(number)
    except (TypeError, ValueError, OverflowError):
        usable = False
    if not usable:
        raise LedgerError(f"{place} is {value!r}; it must be {meaning}. An event without noise is a NonPrivateDpEvent.")
    return json_number(number)


def json_number(number: float) -> float | str:
    """A number as JSON can hold it: infinity is the word ``infinity``, which ``float`` reads back."""
    return "infinity" if math.isinf(number) else number


def json_fields(record: object, *left_out: str) -> dict[str, Any]:
    """The fields of a dataclass as JSON can hold them, but for some."""
    return {
        name: json_number(value) if isinstance(value, float) else value
        for name, value in vars(record).items()
        if name not in left_out
    }


def canonical_json(value: Any) -> str:
    """The one spelling of a value: what is hashed and compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def counted(events: Iterable[dp_accounting.DpEvent]) -> list[tuple[dp_accounting.DpEvent, int]]:
    """Different events in the order they were met, each with how often."""
    texts = Counter(canonical_json(event_fields(event)) for event in events)
    return [(event_from_fields(json.loads(text)), times) for text, times in texts.items()]


def composed(events: Iterable[dp_accounting.DpEvent]) -> dp_accounting.DpEvent:
    """Many events as one, equal ones counted: what the same participants went through."""
    parts = [event if times == 1 else dp_event.SelfComposedDpEvent(event, times) for event, times in counted(events)]
    if not parts:
        return dp_event.NoOpDpEvent()
    return parts[0] if len(parts) == 1 else dp_event.ComposedDpEvent(parts)
