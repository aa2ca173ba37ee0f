"""What readers take home from the built book: chapters as notebooks, the package, the assignments."""

import hashlib
import html
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from course_utils.bundle import build_wheel

ROOT = Path(__file__).parents[1]
HTML = ROOT / "_build" / "html"
DOWNLOADS = HTML / "_static" / "downloads"
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("0*.md"))
ASSIGNMENTS = sorted(path.name for path in (ROOT / "exercises").iterdir())


def read(name):
    return nbformat.read(DOWNLOADS / f"chapter-{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def wheel():
    found = list(DOWNLOADS.glob("*.whl"))
    if len(found) != 1:
        pytest.fail("there is not one wheel in _build/html/_static/downloads: run `make book`", pytrace=False)
    return found[0]


# --- Chapters ---


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapters_notebook_is_its_code_and_readable_text(name, wheel):
    nb = read(name)
    nbformat.validate(nb)
    assert [cell.id for cell in nb.cells] == [f"cell-{place:03}" for place in range(1, len(nb.cells) + 1)]
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    source = jupytext.read(ROOT / "book" / f"{name}.md")
    assert [cell.source for cell in code] == [cell.source for cell in source.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    first, *rest = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    assert f"pip install {wheel.name}" in first.replace('"', "")
    assert rest[0].startswith("# ")
    for text in rest:
        assert not raw(text), text


def raw(text):
    """What is MyST's own in a text, or HTML that Markdown would not show; code and formulas are left out."""
    words = re.sub(r"^(`{3,}).*?^\1$|(`+)(?!`).+?(?<!`)\2(?!`)|\$\$.*?\$\$|\$[^$]+\$", "", text, flags=re.M | re.S)
    marks = r"\{[\w:-]+\}|^\s*:{3,}|^\([\w-]+\)=|^:\w+:|\{\{|\*\* |<(?!/?(?:details|summary)>)\w"
    return re.findall(marks, re.sub(r"\*\*[^*]+\*\*", "", words), re.M)


@pytest.mark.parametrize(
    "text", ["{cite:t}`x`", ":::{note}", "```{math}\nx", "(here)=", "{{ x }}", "** x", "<span>", ":class: x"]
)
def test_raw_marks_are_found(text):
    assert raw(text)


PAGE = """---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3}
---
(top)=
# A _title_ with $x_1$

Two * stars, a_b, `code`, <b>, \\$5 and {eq}`eq-one`; see {ref}`top` and [there](https://example.org).

```{math}
:label: eq-one
a \\\\ b
```

````{admonition} Worked example
:class: note

1. one
2. two

   ```python
   x = 1
   ```
````

```{admonition} Folded
:class: dropdown

Inside $y$.
```

| a | b |
|---|--:|
| `x\\|y` | $z$ |

```{code-cell} ipython3
:tags: [remove-input, remove-output]

hidden = 1
```

## Next

```{code-cell} ipython3
:tags: [hide-input]

shown = 2
```

- item
  - inner
"""
SETTINGS = """
import course_downloads
course_downloads.renew_wheel = lambda *_: None  # a book of one page has no package beside it
extensions, root_doc = ["myst_nb", "course_downloads"], "00-small"
nb_execution_mode, numfig, myst_enable_extensions = "off", True, ["dollarmath"]
suppress_warnings = ["myst-nb.lexer"]  # nothing ran, so no kernel said what language it is
"""
EXPECTED = [
    "# A *title* with $x_1$",
    r"Two \* stars, a_b, `code`, <b>, \$5 and (1); see A title with x_1 and [there](https://example.org).",
    "$$\n\\begin{split}a \\\\ b\\end{split} \\tag{1}\n$$",
    "> **Worked example**\n>\n> 1. one\n>\n> 2. two\n>\n>    ```python\n>    x = 1\n>    ```",
    "<details>\n<summary>Folded</summary>\n\nInside $y$.\n\n</details>",
    "| a | b |\n| --- | ---: |\n| `x\\|y` | $z$ |",
    "- item\n\n  - inner",
]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The notebook of a small page, made twice: two files."""
    made = []
    for _ in range(2):
        book = tmp_path_factory.mktemp("course") / "book"
        book.mkdir()
        (book / "conf.py").write_text(SETTINGS, encoding="utf-8")
        (book / "00-small.md").write_text(PAGE, encoding="utf-8")
        command = [sys.executable, "-m", "sphinx", "-q", "-W", str(book), str(book.parent / "html")]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "book" / "_ext")])}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append(book.parent / "html" / "_static" / "downloads" / "chapter-00-small.ipynb")
    return made


def test_made_twice_a_notebook_has_the_same_bytes(small):
    one, other = (hashlib.sha256(path.read_bytes()).hexdigest() for path in small)
    assert one == other


@pytest.mark.parametrize("words", EXPECTED)
def test_each_form_of_the_source_becomes_plain_markdown(small, words):
    cells = nbformat.read(small[0], as_version=4).cells
    assert any(words in cell.source for cell in cells), "\n---\n".join(cell.source for cell in cells)


def test_cells_that_the_page_hides_are_there_and_closed(small):
    cells = [cell for cell in nbformat.read(small[0], as_version=4).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells] == ["hidden = 1", "shown = 2"]
    assert all(cell.metadata["jupyter"]["source_hidden"] for cell in cells)


def test_chapter_05_runs_from_its_two_downloads_alone(wheel, tmp_path, monkeypatch):
    site, folder = tmp_path / "site", tmp_path / "folder"
    folder.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    nb = read("05-self-attention")
    nb.cells.append(nbformat.v4.new_code_cell("import course_utils; print(course_utils.__file__)"))
    NotebookClient(nb, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    assert nb.cells[-1].outputs[0].text.strip() == str(site / "course_utils" / "__init__.py")
    assert not list(folder.iterdir())


# --- The package ---


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "src" / "course_utils"
    expected = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected += (package / "recorded").glob("*.json")  # a link, into which rglob does not go
    assert names == {path.relative_to(package.parent).as_posix() for path in expected}
    assert {f"course_utils/recorded/{path.name}" for path in (ROOT / "book" / "data").glob("*.json")} < names


def test_the_wheel_has_the_same_bytes_whenever_it_is_built(wheel, tmp_path):
    made = build_wheel(ROOT, tmp_path)
    assert made.name == wheel.name
    assert made.read_bytes() == wheel.read_bytes()


def test_the_page_on_running_offers_the_wheel(wheel):
    page = (HTML / "running.html").read_text(encoding="utf-8")
    assert set(re.findall(r"attention_course-[\w.-]+?\.whl", page)) == {wheel.name}
    assert f'href="_static/downloads/{wheel.name}"' in page


# --- Assignments ---


def secrets(name):
    """The lines of an assignment's solutions and hidden tests that its released notebook has not."""
    source = (ROOT / "solutions" / name / f"{name}.md").read_text(encoding="utf-8")
    regions = re.findall(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)### END \1", source, re.S)
    released = nbformat.read(ROOT / "exercises" / name / f"{name}.ipynb", as_version=4)
    known = "\n".join(cell.source for cell in released.cells)
    lines = {line.strip() for _, region in regions for line in region.splitlines()}
    found = {line for line in lines if len(line) > 24 and line not in known}
    assert len(found) > 20
    return found


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_an_assignments_page_shows_and_offers_what_is_given_out(name):
    given = ROOT / "exercises" / name / f"{name}.ipynb"
    page = HTML / "exercises" / name / f"{name}.html"
    markup = page.read_text(encoding="utf-8")
    offered = re.findall(r'href="([^"]+\.ipynb)"[^>]* download|download[^>]* href="([^"]+\.ipynb)"', markup)
    targets = {(page.parent / (one or other)).resolve() for one, other in offered}
    assert len(targets) == 2  # the button, and the link in the card
    assert all(target.read_bytes() == given.read_bytes() for target in targets)
    cells = nbformat.read(given, as_version=4).cells
    roles = [cell.metadata.get("course", {}).get("tests") for cell in cells]
    text = html.unescape(re.sub(r"<[^>]+>", "", markup))
    assert text.count("Hidden test, ") == roles.count("hidden")
    assert text.count("Visible test, ") == roles.count("visible")
    assert f"course check {name}.ipynb" in text
    assert not [line for line in secrets(name) if line in text]


def test_no_hidden_test_is_in_the_wheel(wheel):
    files = zipfile.ZipFile(wheel)
    code = "\n".join(files.read(name).decode() for name in files.namelist() if name.endswith(".py"))
    for name in ASSIGNMENTS:
        source = (ROOT / "solutions" / name / f"{name}.md").read_text(encoding="utf-8")
        regions = re.findall(r"### BEGIN HIDDEN TESTS\n(.*?)### END", source, re.S)
        lines = {line.strip() for region in regions for line in region.splitlines()}
        assert not [line for line in lines if len(line) > 40 and line in code]
