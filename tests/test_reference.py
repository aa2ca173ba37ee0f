"""The pages at hand: what they list is what there is, and what there is, they list."""

from __future__ import annotations

import ast
import calendar
import functools
import html
import importlib
import inspect
import json
import re
import sys
from pathlib import Path

import pytest
import typer
from support import ROOT

from course_utils import cli

HTML = ROOT / "_build" / "html"
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]*.md"))
API = sorted((ROOT / "book" / "api").glob("*.md"))
_LISTED = re.findall(r"automodule:: (\S+)(?:\n +:exclude-members: (.*))?", "".join(p.read_text("utf-8") for p in API))
LEFT_OUT = {name: names.split(", ") for name, names in _LISTED}
MODULES = list(LEFT_OUT)
IDS = re.compile(r'\bid="([^"]+)"')
CELL = re.compile(r"^```\{code-cell\}.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@functools.cache
def read(page: str) -> str:
    path = HTML / page
    if not path.exists():
        pytest.fail(f"there is no {page} in the book: run `make book`", pytrace=False)
    return path.read_text(encoding="utf-8")


def ids(page: str) -> set[str]:
    return {html.unescape(found) for found in IDS.findall(read(page))}


def words(page: str) -> str:
    """The text of a page's article, without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", re.split(r"<article|</article>", read(page))[1])).split())


# --- the package ---


@functools.cache
def documented() -> frozenset[str]:
    pages = (HTML / "api").glob("*.html")
    return frozenset().union(*(ids(f"api/{page.name}") for page in pages))


def public(name: str) -> list[str]:
    """What a module offers: what its `__all__` lists, else its own functions and classes without an underscore.

    What other modules of the package use and nobody else, a page may leave out.
    """
    module = importlib.import_module(name)
    own = [key for key, thing in vars(module).items() if getattr(thing, "__module__", None) == name and callable(thing)]
    own = [key for key in own if inspect.isroutine(getattr(module, key)) or inspect.isclass(getattr(module, key))]
    offered = getattr(module, "__all__", [key for key in own if not key.startswith("_")])
    return [key for key in offered if key not in LEFT_OUT[name]]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_of_a_module_has_an_entry_with_a_link_to_its_source(name: str) -> None:
    assert f"module-{name}" in documented()
    assert [key for key in public(name) if f"{name}.{key}" not in documented()] == []
    source = ids(f"_modules/{name.replace('.', '/')}.html")
    functions = [key for key in public(name) if inspect.isfunction(getattr(importlib.import_module(name), key))]
    assert [key for key in functions if key not in source] == []


def test_the_overview_lists_every_module_once() -> None:
    listed = re.findall(r'href="\w+\.html#module-(course_utils\.\w+)"', read("api/index.html").split("<article")[1])
    assert sorted(set(listed)) == sorted(MODULES)


def entries(name: str) -> dict[str, str]:
    """The signature of each entry of a module on the pages, by the name in full."""
    pages = "".join(read(f"api/{page.name}") for page in (HTML / "api").glob("*.html"))
    found = re.findall(rf'<dt class="sig[^>]*id="({re.escape(name)}\.[\w.]+)">(.*?)</dt>', pages, re.DOTALL)
    return {place: text(signature) for place, signature in found}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_begins_with_the_import_of_all_that_it_describes(name: str) -> None:
    page = next(page for page in API if f"module-{name}" in ids(f"api/{page.stem}.html"))
    section = read(f"api/{page.stem}.html").split(f'id="module-{name}"')[1]
    statement = html.unescape(re.sub(r"<[^>]+>", "", re.search(r"<pre>(.*?)</pre>", section, re.DOTALL)[1]))
    exec(statement, {})
    assert imported(statement) == {(name, key.removeprefix(f"{name}.")) for key in entries(name) if key.count(".") == 2}
    assert max(map(len, statement.splitlines())) <= 66


@pytest.mark.parametrize("name", MODULES)
def test_an_entry_names_its_module_and_no_arguments_that_it_does_not_have(name: str) -> None:
    for key, signature in entries(name).items():
        if key.count(".") == 2:
            assert re.match(rf"(class|exception)?\s*{key}\b", signature)
        assert "(*args" not in signature


@pytest.mark.parametrize("name", MODULES)
def test_an_entry_shows_the_value_of_a_constant_that_is_short(name: str) -> None:
    for key, signature in entries(name).items():
        value = getattr(importlib.import_module(name), key.removeprefix(f"{name}."), None)
        if isinstance(value, int | float | str | tuple) and len(repr(value)) <= 80:
            assert f"= {' '.join(repr(value).split())}" in signature
        assert len(signature) < 1000


@pytest.mark.parametrize("page", [path.stem for path in API])
def test_docstrings_leave_no_empty_lists_and_no_markup_on_a_page(page: str) -> None:
    assert re.findall(r"<li>\s*(?:<p>\s*</p>)?\s*</li>", read(f"api/{page}.html")) == []
    assert re.findall(r":[a-z:]+:`?\w\S*", words(f"api/{page}.html")) == []


def test_a_description_that_is_a_letter_is_kept() -> None:
    assert "n_queries – Q. n_keys – K" in words("api/attention.html")


@pytest.mark.parametrize("page", [path.stem for path in API])
def test_a_page_of_the_package_is_for_who_uses_it(page: str) -> None:
    said = words(f"api/{page}.html")
    assert re.findall(r"hidden tests?|referee|sandbox|nbgrader", said) == []
    assert set(re.findall(r"\bcourse_utils\.[a-z0-9_]+", said)) <= set(MODULES)


@pytest.mark.parametrize("page", [path.stem for path in API])
def test_every_work_that_a_docstring_names_is_linked(page: str) -> None:
    """The pages print years in square brackets; a month has none that anybody wrote."""
    month = "|".join(calendar.month_name[1:])
    plain = rf"(?:\b(?!{month})[A-Z][\w-]+|al\.)(?:['’]s)?,? \(?(?:18|19|20)\d\d\b"
    assert re.findall(plain, words(f"api/{page}.html")) == []


@pytest.mark.parametrize(
    ("page", "author", "year"),
    [("attention", "Beltagy", 2020), ("attention", "Luong", 2015), ("perception", "Greenspan", 1994)],
)
def test_a_citation_in_a_docstring_leads_to_its_work(page: str, author: str, year: int) -> None:
    links = re.findall(r'href="\.\./references\.html#(id\d+)" title="([^"]*)">(\d+)</a>', read(f"api/{page}.html"))
    place = next(place for place, title, said in links if author in title and int(said) == year)
    assert author in re.search(rf'id="{place}">.*?</div>', read("references.html"), re.DOTALL)[0]


def test_no_command_installs_from_a_package_index_what_is_not_there() -> None:
    paths = [ROOT / "README.md", *(ROOT / "book").rglob("*.md"), *(ROOT / "src/course_utils").rglob("*.py")]
    paths += [*(ROOT / "solutions").rglob("*.md")]
    wrong = re.compile(r"pip install[^\n`]*\battention[-_]course(?!-\S*\.whl)")
    assert [path.name for path in paths if wrong.search(path.read_text("utf-8"))] == []


def imported(source: str) -> set[tuple[str, str]]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("course_utils"):
            found |= {(str(node.module), alias.name) for alias in node.names}
    return found


def shown(path: Path) -> list[str]:
    """The cells of a chapter whose input its page shows, without their metadata."""
    cells = [cell for cell in CELL.findall(path.read_text("utf-8")) if not re.search(r"remove-(input|cell)", cell)]
    return [re.sub(r"\A---\n.*?^---\n|\A(?::[^\n]*\n)+", "", cell, flags=re.M | re.S) for cell in cells]


def visible_imports() -> set[tuple[str, str]]:
    """What the cells of chapters and of released notebooks import from the package."""
    cells = [cell for page in CHAPTERS for cell in shown(page)]
    for path in (ROOT / "exercises").rglob("*.ipynb"):
        cells += [
            "".join(c["source"]) for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"
        ]
    return set().union(*map(imported, cells))


def test_everything_that_chapters_and_students_import_has_an_entry() -> None:
    found = visible_imports()
    assert len(found) > 100
    missing = {
        f"{module}.{name}"
        for module, name in found
        if f"{module}.{name}" not in documented() and f"module-{module}.{name}" not in documented()
    }
    assert missing == set()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_imports_in_code_link_to_entries_that_exist(path: Path) -> None:
    article = read(f"{path.stem}.html")
    links = re.findall(r'<a class="course-name" href="([^"#]+)#([^"]+)"><span class="n">(\w+)</span></a>', article)
    assert links
    assert [place for page, place, _ in links if place not in ids(page)] == []
    assert [(place, name) for _, place, name in links if not re.fullmatch(rf".*\b{name}|module-.*", place)] == []
    linked = {place.removeprefix("module-") for _, place, _ in links}
    wanted = {".".join(pair) for cell in shown(path) for pair in imported(cell)}
    assert [name for name in wanted if name not in linked] == []


def test_code_taken_from_the_package_names_its_source() -> None:
    for path in CHAPTERS:
        taken = path.read_text(encoding="utf-8").count("{literalinclude} ../src/course_utils/")
        named = re.findall(r'<p class="code-source">From <a [^>]*href="([^"#]+)#?([^"]*)"', read(f"{path.stem}.html"))
        assert len(named) == taken, path.name
        assert [place for page, place in named if place and place not in ids(page)] == []


# --- the commands ---


def test_every_command_and_option_is_listed_and_every_listed_one_exists() -> None:
    group = typer.main.get_command(cli.app)
    context = typer.Context(group, info_name="course")
    existing = {(None, option.get_help_record(context)) for option in group.get_params(context)}
    for name, command in group.commands.items():
        context = typer.Context(command, info_name=f"course {name}")
        existing |= {(name, option.get_help_record(context)) for option in command.params}
    listed, command = set(), None
    article = read("commands.html").split("<article")[1]
    for title, term, said in re.findall(
        r"<h3>(.*?)<a|<dt id=[^>]*>(.*?)</dt>\s*<dd>(.*?)</dd>", article.replace("“", "'").replace("”", "'"), re.DOTALL
    ):
        if title:
            command = text(title).removeprefix("course ")
        elif not text(term).startswith("make "):
            listed.add((command, (text(term), plain(text(said)))))
    assert listed == {(name, (" ".join(term.split()), plain(said))) for name, (term, said) in existing}
    for name, command in group.commands.items():
        assert plain(command.help) in plain(words("commands.html")), name


def text(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def plain(said: str) -> str:
    """Words alone: the page has quotation marks and dashes of its own."""
    return " ".join(re.findall(r"[\w/<>\[\]=:.,|-]+", re.sub(r"[’']|\.\.\.", " ", said)))


def test_every_verb_of_the_makefile_is_listed_with_its_comment() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE)[1].split())
    listed = re.findall(r'<dt id="make-(\w+)">', read("commands.html"))
    assert set(listed) == verbs
    assert len(listed) == len(verbs)


def test_what_one_types_keeps_its_quotation_marks_and_dashes() -> None:
    typed = re.findall(r'[A-Z]+="[^"]*"', "".join(re.findall(r"## (.*)", (ROOT / "Makefile").read_text("utf-8"))))
    assert typed
    assert [each for each in typed if each not in words("commands.html")] == []


# --- the glossary ---


@functools.cache
def glossary() -> dict[str, list[str]]:
    """The names of each entry, by the place of the first."""
    groups = re.findall(r"((?:^[^\s`:#{].*\n)+)^  \S", (ROOT / "book/glossary.md").read_text("utf-8"), re.MULTILINE)
    return {group.split("\n")[0]: group.strip().split("\n") for group in groups}


def test_the_glossary_says_where_each_term_is_taught() -> None:
    entries = re.findall(r"<dd>(.*?)</dd>", read("glossary.html").split('<dl class="', 1)[1], re.DOTALL)
    assert 60 <= len(glossary()) <= 90
    assert len(entries) == len(glossary())
    for entry in entries:
        said = re.findall(r'[Cc]hapter\s(\d\db?): <a class="[^"]*" href="(\d\db?)-[\w-]+\.html(?:#[\w-]+)?">', entry)
        assert said, entry
        assert all(number == page for number, page in said), entry


def test_a_row_of_letters_leads_to_the_first_term_of_each() -> None:
    row = re.search(r'<nav class="letters".*?</nav>', read("glossary.html"), re.DOTALL)[0]
    terms = re.findall(r'<dl class="[^"]*glossary.*', read("glossary.html"), re.DOTALL)[0]
    shown = re.findall(r'(?:<dl[^>]*>|</dd>)\s*<dt id="([^"]+)">(\w)', terms)
    firsts = {letter.upper(): place for place, letter in reversed(shown)}
    assert re.findall(r'<a href="#([^"]+)">(.*?)</a>', row) == [(firsts[each], each) for each in sorted(firsts)]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_term_is_linked_once_on_a_page_and_only_in_running_text(path: Path) -> None:
    links = re.findall(
        r'<a class="glossary-term[^"]*" href="glossary\.html#([^"]+)">([^<]*)</a>', read(f"{path.stem}.html")
    )
    places = [place for place, _ in links]
    assert places
    assert sorted(places) == sorted(set(places))
    assert set(places) <= ids("glossary.html")
    for heading in re.findall(
        r"<h[1-6].*?</h[1-6]>|<figcaption.*?</figcaption>|<pre.*?</pre>", read(f"{path.stem}.html"), re.S
    ):
        assert "glossary-term" not in heading


def test_terms_are_found_whole_in_the_plural_and_the_longer_first() -> None:
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        pattern_of = importlib.import_module("course_glossary").pattern_of
    finally:
        sys.path.pop(0)
    pattern = pattern_of(["self-attention", "linear probe", "attention", "softmax", "probe", "GRU"])
    found = [match[0] for match in pattern.finditer("Softmax, self-attention, GRUs, gru, presoftmax, a linear\nprobe")]
    assert found == ["Softmax", "self-attention", "GRUs", "linear\nprobe"]


def test_who_is_cited_for_alibi_is_said_in_the_glossary() -> None:
    entry = re.search(r'<dt id="term-ALiBi">.*?</dd>', read("glossary.html"), re.DOTALL)[0]
    place = re.search(r'href="references\.html#(id\d+)"', entry)[1]
    assert "Press" in entry
    assert "06-positions.html" in re.search(rf'id="{place}">.*?</div>', read("references.html"), re.DOTALL)[0]


# --- the references ---


def test_every_work_is_cited_and_says_where() -> None:
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text("utf-8"), re.MULTILINE))
    cited: dict[str, set[str]] = {}
    for path in (ROOT / "book").glob("*.md"):
        for names in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", path.read_text(encoding="utf-8")):
            for name in names.split(","):
                cited.setdefault(name.strip(), set()).add(path.stem)
    works = re.findall(r'<div class="citation".*?</div>', read("references.html"), re.DOTALL)
    assert len(works) == len(keys)
    places = [work.split("cited-in")[1] for work in works]  # all have some
    only_in_docstrings = [place for place in places if set(re.findall(r'href="(\w+/)?', place)) == {"api/"}]
    assert len(set(cited)) + len(only_in_docstrings) == len(keys)
    assert set(cited) <= keys
    back = sum(len(re.findall(r'<a [^>]*href="[\w-]+\.html"', place)) for place in places)
    assert back == sum(map(len, cited.values()))


def test_chapters_are_named_with_their_numbers() -> None:
    cited = re.findall(r'<p class="cited-in">.*?</p>', read("references.html"), re.DOTALL)
    links = re.findall(r'href="(\d\w+)-[\w-]+\.html">(?:<[^>]*>)?(\w+) ', "".join(cited))
    groups = re.findall(r'<th scope="rowgroup"[^>]*>(\w+) ', read("reproduced.html"))
    assert links
    assert [pair for pair in links if pair[0] != pair[1]] == []
    assert groups
    assert [each for each in groups if not re.fullmatch(r"\d\d[a-z]?", each)] == []


def test_a_work_that_says_its_doi_or_preprint_links_to_it() -> None:
    entries = re.findall(r'<div class="citation".*?</div>', read("references.html"), re.DOTALL)
    for entry in entries:
        if re.search(r"arXiv:\d|doi:10", entry):
            assert 'class="reference external" href="https://' in entry, entry


# --- what was reproduced ---


def claims() -> list[dict]:
    pages = [read(f"{path.stem}.html") for path in CHAPTERS]
    records = [found for page in pages for found in re.findall(r'data-claim="([^"]*)"', page)]
    return [json.loads(html.unescape(record)) for record in records]


def rows(section: str) -> list[str]:
    """The links of the table of a section."""
    body = re.search(rf'<section id="{section}">.*?</section>', read("reproduced.html"), re.DOTALL)[0]
    return re.findall(r'<td data-column="Claim"><a href="[\w-]+\.html#claim-([^"]+)"', body)


def test_a_claim_is_understood_alone() -> None:
    """In the lists it stands away from the sentence that went before it on its page."""
    leaning = re.compile(r"(So|It|Its|They|Their|This|That|These|Those|Then|There|Here|The same|The other)\b")
    assert [claim["statement"] for claim in claims() if leaning.match(claim["statement"])] == []


@pytest.mark.parametrize(
    ("section", "fits"),
    [
        ("what-did-not-come-out", lambda claim: claim["verdict"].startswith("not")),
        ("what-came-out-in-part", lambda claim: claim["verdict"].startswith("partly")),
        ("all-statements-of-papers", lambda claim: claim["kind"] == "empirical" and claim["source"]),
        ("all-predictions-of-our-own", lambda claim: claim["kind"] == "empirical" and not claim["source"]),
        ("all-theorems-and-counts", lambda claim: claim["kind"] == "theorem"),
    ],
)
def test_every_claim_of_a_kind_is_gathered(section: str, fits) -> None:
    expected = sorted(claim["name"] for claim in claims() if fits(claim))
    assert expected
    assert sorted(rows(section)) == expected


def test_the_summary_counts_the_claims() -> None:
    said = words("reproduced.html")
    papers = [claim["verdict"] for claim in claims() if claim["kind"] == "empirical" and claim["source"]]
    own = [claim["verdict"] for claim in claims() if claim["kind"] == "empirical" and not claim["source"]]
    for verdicts, kind, success in (
        (papers, "statements of papers", "reproduced"),
        (own, "predictions of our own", "as predicted"),
    ):
        full, partly, no = (verdicts.count(each) for each in (success, f"partly {success}", f"not {success}"))
        assert f"Of {len(verdicts)} {kind} {full} came out {success}, {partly} partly and {no} not." in said


# --- the changes ---


def test_the_changelog_is_a_page() -> None:
    dates = re.findall(r"^### (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert dates
    assert all(date in words("changelog.html") for date in dates)
