"""Numbers of the host put on a device, which the host does not wait for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def placed(values: Any, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of some values; CUDA takes them over before this returns and copies them when it gets there.

    Args:
        values: numbers, or lists of them.
        device: where the tensor lies.
        dtype: of the tensor; as the values suggest by default.
    """
    return torch.tensor(values, dtype=dtype).to(device, non_blocking=True)
