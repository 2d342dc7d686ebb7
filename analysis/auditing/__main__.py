"""`python -m analysis.auditing`: see ``analysis.auditing.audit``."""

from __future__ import annotations

import sys

from analysis.auditing.audit import main

if __name__ == "__main__":
    sys.exit(main())
