"""Whatever a command is given, it answers with its result or one paragraph and a status of its own: it never breaks.

Inputs are sound ones with pieces put in, taken out or exchanged that have been known to break parsers.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.__main__ import main as analyse
from analysis.study import FORMAT
from cohorts.__main__ import main as check_cohort
from privacy.__main__ import main as check_ledger
from search_spaces import SearchSpaceError, load_search_space
from tests.cohorts.little_trial import write_trial
from tests.privacy.ledgers import ledger_with, private_cohort
from tuner.domains import domains
from tuner.run import main as tune

PIECES = (
    "", "\n", " ", "\t", ":", "- ", "'", '"', "[", "]", "{", "}", "&a ", "*a", "!!float ''", "!!int ''",
    "!!timestamp x", "!!binary x", "!!python/object:os.system x", "<<: 3\n", "? [a]\n: b\n", "2024-13-45",
    "1e400", "-1", "nan", ".inf", "9" * 5000, "1:99999999999", "\\uD800", '"\\uD800"', "\x00", "\x01",
    "\ufeff", "\u2028", "é", "😀", "package:", "package:/", "package:a/../..", "../", "/", "x" * 300,
    "loop.csv", "[" * 2000, "{a: " * 2000, "-\n" * 500, "null", "~", "true", ",", ";", "\r", "=1+1", "<",
    "only if", "rises", "0x", "0o9", "%YAML 9\n", "---\n", "...\n",
)  # fmt: skip
WORD = re.compile(r"[^\s,:\[\]{}\"]+")
NUMBERS = ("-1", "0", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 400, "9" * 5000, "x", "", "1_0", "٣", "0x1", "1/2")
WORDS = ("", "-", "--", "a b", "\0", "\udce9", "x" * 300, "x" * 5000, "loop.yaml", "..", "/", "~", "[1]", "*", "é.yaml")
STATUSES = (0, 1, 2, 3)


@st.composite
def spoiled(draw: st.DrawFn, text: str) -> str:
    """A text with up to three pieces in the place of a word, or anywhere."""
    for _ in range(draw(st.integers(1, 3))):
        words = [found.span() for found in WORD.finditer(text)]
        if words and draw(st.sampled_from([True, True, False])):
            start, end = draw(st.sampled_from(words))
        else:
            start = draw(st.integers(0, len(text)))
            end = min(len(text), start + draw(st.sampled_from([0, 1, 5, 40])))
        text = text[:start] + draw(st.sampled_from(PIECES)) + text[end:]
    return text


def ends_well(command: Callable[[Sequence[str]], int], *arguments: object) -> str:
    """Run a command, which must end with a status of its own; gives back what it complained of."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            status = command([str(each) for each in arguments])
        except SystemExit as ended:  # argparse
            status = int(ended.code or 0)
    assert status in STATUSES
    assert "Traceback" not in said.getvalue()
    assert status != 2 or said.getvalue().strip()
    return said.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a trial in it, a study, a ledger, and links that lead back to themselves."""
    folder = tmp_path_factory.mktemp("malformed")
    write_trial(folder)
    for name in ("loop.csv", "loop.yaml"):
        (folder / name).symlink_to(name)
    (folder / "results" / "study").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPGAN_TUNE_DATA", str(folder / "home"))
        patch.chdir(folder)
        with closing(ledger_with(2, folder / "ledger.db", private_cohort())) as ledger:
            ledger.copy_to(folder / "copy.db")
        yield folder


def examples(fast: int) -> Callable:
    """So many examples, each however slow: a busy machine proves nothing."""
    return settings(max_examples=fast, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def write(file: Path, text: str) -> Path:
    file.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    return file


def a_schema(place: Path, data: st.DataObject) -> None:
    text = data.draw(spoiled((place / "little.yaml").read_text()))
    ends_well(check_cohort, write(place / "spoiled.yaml", text))


def a_table(place: Path, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(["visits", "people"]))
    sound = (place / f"{table}.csv").read_text()
    (place / "tables").mkdir(exist_ok=True)
    for each in ("visits", "people"):
        (place / "tables" / f"{each}.csv").write_bytes((place / f"{each}.csv").read_bytes())
    write(place / "tables" / f"{table}.csv", data.draw(spoiled(sound[:600])) + sound[600:])
    ends_well(check_cohort, place / "little.yaml", "--data", place / "tables")


def a_constraint(place: Path, data: st.DataObject) -> None:
    words = st.sampled_from(
        ["sbp", "dbp", "hb", "<", "<=", "rises", "falls", "only if", "else", "1", "[V1]", "in", *PIECES]
    )
    sentence = " ".join(data.draw(st.lists(words, min_size=1, max_size=6)))
    text = (place / "little.yaml").read_text() + f"constraints:\n- {json.dumps(sentence)}\n"
    ends_well(check_cohort, write(place / "spoiled.yaml", text))


def a_search_space(place: Path, data: st.DataObject) -> None:
    sound = "clip_norm: {log_uniform: [0.1, 3]}\nsampling_rate: 0.05\nnetwork: {categorical: [compact]}\n"
    file = write(place / "space.yaml", data.draw(spoiled(sound)))
    try:
        load_search_space(str(file), domains())
    except SearchSpaceError as error:
        assert str(error)


def an_old_study(place: Path, data: st.DataObject) -> None:
    study = place / "results" / "study"
    sound = json.dumps({"format": FORMAT, "study": "study", "cohort": "little.yaml", "search_space": "smoke",
                        "policy": "composed", "epsilon": 3, "delta": 1e-5, "trials": 2, "max_epochs": 2,
                        "engine": "packed", "ledger": "ledger.db", "created": "2026-01-01T00:00:00Z"})  # fmt: skip
    file = data.draw(st.sampled_from(["study.json", "plan.json", "ledger.json", "receipts.jsonl", "trials.jsonl"]))
    write(study / "study.json", sound)
    write(study / file, data.draw(spoiled(sound)))
    (study / "ledger.db").write_bytes((place / "copy.db").read_bytes())
    ends_well(analyse, study)
    ends_well(check_ledger, study)
    ends_well(tune, "--study", "study", "--resume", "--plan")


def a_ledger(place: Path, data: st.DataObject) -> None:
    content = bytearray((place / "copy.db").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1)))
        content[start : start + data.draw(st.sampled_from([1, 8, 500]))] = data.draw(st.binary(max_size=20))
    file = place / "spoiled.db"
    for left in place.glob("spoiled.db*"):
        left.unlink()
    file.write_bytes(content)
    file.with_name("spoiled.db.key").write_bytes((place / "ledger.db.key").read_bytes())
    ends_well(check_ledger, file)
    ends_well(check_ledger, "restore", file)


def a_command_line(place: Path, data: st.DataObject) -> None:
    """Up to where participants would be read; ``--plan`` goes no further."""
    number = st.sampled_from(NUMBERS)
    word = st.one_of(st.sampled_from(WORDS), st.text(max_size=8))
    options = st.one_of(
        st.tuples(st.sampled_from(["--epsilon", "--delta", "--trials", "--max-epochs", "--seed", "--search-minutes",
                                   "--cpus-per-trial", "--gpus-per-trial"]), number),
        st.tuples(st.sampled_from(["--cohort", "--data", "--search-space", "--policy", "--ledger", "--storage",
                                   "--study", "--out", "--engine", "--address"]), word),
    )  # fmt: skip
    given = [part for option in data.draw(st.lists(options, min_size=1, max_size=3)) for part in option]
    base = ["--cohort", "little.yaml", "--policy", "unaccounted", "--plan"]
    ends_well(tune, *base, *given)
    ends_well(check_ledger, data.draw(word))
    ends_well(analyse, data.draw(word))
    ends_well(check_ledger, data.draw(st.sampled_from(["backup", "restore", "where"])), data.draw(word))


PARSERS = {
    a_schema: 200, a_table: 200, a_constraint: 150, a_search_space: 200, an_old_study: 60, a_ledger: 90,
    a_command_line: 100,
}  # fmt: skip


@pytest.mark.parametrize("spoil", PARSERS, ids=lambda each: each.__name__)
def test_malformed_input_is_answered(place, spoil):
    @examples(PARSERS[spoil])
    @given(st.data())
    def answered(data: st.DataObject) -> None:
        spoil(place, data)

    answered()


@pytest.mark.slow
@pytest.mark.parametrize("spoil", PARSERS, ids=lambda each: each.__name__)
def test_ten_thousand_malformed_inputs_are_answered(place, spoil):
    @examples(10 * PARSERS[spoil])
    @given(st.data())
    def answered(data: st.DataObject) -> None:
        spoil(place, data)

    answered()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: !!float ''", "looks like a date or a number and is none"),
        ("name: 2024-13-45", "looks like a date or a number and is none"),
        ("name: " + "[" * 3000, "nested too deeply"),
        ('name: "\\uD800"', "line 1: an escape such as"),
        ("nominal_size: " + "9" * 5000, "is none"),
        ("name: " + "n" * 300, "too long"),
    ],
)
def test_a_schema_that_yaml_reads_otherwise_is_told_what_is_wrong(place, text, said):
    sound = (place / "little.yaml").read_text().splitlines()
    kept = [line for line in sound if line.split(":")[0] != text.split(":")[0]]
    assert said in " ".join(ends_well(check_cohort, write(place / "spoiled.yaml", "\n".join([text, *kept]))).split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cpus-per-trial", "-1"], "--cpus-per-trial -1.0 cannot be used"),
        (["--gpus-per-trial", "nan"], "--gpus-per-trial nan cannot be used"),
        (["--trials", "9" * 400], "more than any machine could do"),
        (["--study", "s" * 300], "at most 100 in all"),
        (["--ledger", "l" * 300], "too long for a path"),
        (["--data", "loop.yaml"], "leads back to itself"),
        (["--search-space", "\udce9.yaml"], "not text in UTF-8"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(place, options, said):
    assert said in " ".join(ends_well(tune, "--cohort", "little.yaml", "--plan", *options).split())
