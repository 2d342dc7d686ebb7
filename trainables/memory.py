"""Memory that a process works with again and again, kept from going back to the system in between."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# Of glibc's mallopt: blocks above the first size are mapped apart, unused memory above the second is given back.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST_KEPT_BYTES = 2**30


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what this process frees, up to a gigabyte, for its next use.

    A step of training takes and frees some megabytes. glibc would give them back to Linux each time, which hands
    them out again a page at a time, zeroed: a third of the step's time. Where there is no glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        library.mallopt(TRIM_THRESHOLD, LARGEST_KEPT_BYTES)
