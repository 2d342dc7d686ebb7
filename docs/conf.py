"""How Sphinx makes a site of these pages (``make docs``), which is opened from a folder, without a network."""

import contextlib
import io
import json
import os
import re
import tomllib
from importlib import import_module
from pathlib import Path

from docutils import nodes
from pygments.lexers import TextLexer, YamlLexer
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project, version = PROJECT["name"], PROJECT["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
default_role = "code"  # what docstrings have in single backticks
highlight_language = "text"  # of a block that names none: most are commands and what they print

# A heading's anchor is GitHub's, so that one link serves there and here.
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
nitpick_ignore_regex = [
    # Other packages' names: their references are elsewhere, and may be out of reach.
    (
        "py:.*",
        r"(annotated_types|collections|datetime|dp_accounting|importlib|numpy|optuna|pandas|pathlib|pydantic)\..*",
    ),
    ("py:.*", r"(pd|ray|rich|torch|types)\..*|Callback|Console|FieldInfo|MinLen|NoneType|Path|ResultGrid|[0-9.]+"),
    # Ours that a policy or a schema is built of, and that nobody outside needs to name.
    ("py:.*", r"privacy\.(ledger|statements)\..*|privacy\.planning\.(choice|schedule|steering)\..*"),
    (
        "py:.*",
        r"privacy\.accounting\.private_selection\..*|cohorts\.(cell_rules|constraints|files|origin|parameters|scale)\..*",
    ),
    ("py:.*", r"analysis\.(epochs|selection|transfer|quality\.comparisons)\..*|trainables\.scoring\.judging\..*"),
]

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_show_sourcelink = html_copy_source = html_show_sphinx = html_show_copyright = False
html_show_search_summary = False  # a browser reads no other page of a folder


class CommandHelp(SphinxDirective):
    """What a command says to ``--help``: its argument is the module with ``main``, and words to go before."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """The help, as it stands in a terminal."""
        module, *words = self.arguments[0].split()
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            import_module(module).main([*words, "--help"])
        text = said.getvalue().rstrip()
        return [nodes.literal_block(text, text, language="text", classes=["command-help"])]


def read_notebook(app: Sphinx, page: str, source: list[str]) -> None:
    """Have a notebook read as Markdown; its code is executed by the tests, not here."""
    if Path(app.env.doc2path(page)).suffix == ".ipynb":
        cells = ((each["cell_type"], "".join(each["source"])) for each in json.loads(source[0])["cells"])
        source[0] = "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells)


def read_index(app: Sphinx, page: str, source: list[str]) -> None:
    """Have the front page's lists of pages stand in the navigation, too, each under its heading."""
    if page == app.config.root_doc:
        for heading, section in re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", source[0], re.MULTILINE):
            pages = re.findall(r"^- \[.*?\]\(([\w/-]+)\.(?:md|ipynb)\)", section, re.MULTILINE)
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {heading}", "", *pages, "```\n"])


def read_docstring(app: Sphinx, what: str, name: str, described: object, options: object, lines: list[str]) -> None:
    """Have a docstring say no types, which stand in signatures.

    Napoleon, which comes next, takes for one what stands before the first colon of what is returned, or of a property
    or constant, of which it reads no sections besides; where nothing stands before it, it takes nothing.
    """
    for at, line in enumerate(lines):
        if line == "Returns:":
            lines[at + 1] = re.sub(r"\S", r": \g<0>", lines[at + 1], count=1)
    if what in ("attribute", "data", "property") and lines:
        lines[:] = GoogleDocstring(lines, app.config, app, "method", name, described, options).lines()
        lines[0] = f": {lines[0]}"


def setup(app: Sphinx) -> None:
    """Add what Sphinx lacks."""
    os.environ["COLUMNS"] = "90"  # how wide help is
    app.add_directive("command-help", CommandHelp)
    app.add_lexer("csv", TextLexer)
    app.add_lexer("yaml-part", YamlLexer)
    app.connect("autodoc-process-docstring", read_docstring, priority=400)
    app.connect("source-read", read_notebook)
    app.connect("source-read", read_index)
