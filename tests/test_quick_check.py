"""Quick checks: the directive in a small project of its own, and the built book's in a browser without JavaScript."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HTML = ROOT / "_build" / "html"
CHAPTERS = sorted(page.stem for page in (ROOT / "book").glob("0*.md"))
SIGNED = {"right": "Right.", "wrong": "Not quite."}

CONF = f"""
import sys
sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
extensions = ["myst_parser", "course_quick_check"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
root_doc = "good"
"""
GOOD = """# Two questions

(here)=
## Here

:::{quick-check}
Every key $k$ is doubled:

```python
k = 2 * k
```

- [ ] Nothing *at all*.

  See {ref}`here`.
- [x] `sharper`

  Scores double.

  $$ s = 2 q k $$
:::

:::{quick-check}
Yes or no?

- [x] Yes.

  So it is.
- [ ] No.

  It is not.
:::
"""


def options(*marks):
    return "\n".join(f"- [{mark}] option\n\n  reason" for mark in marks)


# Page: what stands in the directive, and the words of the warning.
MISTAKES = {
    "no-right": (f"Why?\n\n{options(' ', ' ')}", "one option must be right, marked [x], not 0"),
    "two-right": (f"Why?\n\n{options('x', 'x')}", "one option must be right, marked [x], not 2"),
    "no-question": (options("x", " "), "no question stands before the options"),
    "one-option": (f"Why?\n\n{options('x')}", "two to four options are needed, not 1"),
    "five-options": (f"Why?\n\n{options('x', *'    ')}", "two to four options are needed, not 5"),
    "no-reason": (f"Why?\n\n{options('x')}\n- [ ] option\n  reason", "option 2 has no reason: a paragraph of its own"),
    "no-mark": (f"Why?\n\n{options('x')}\n- option\n\n  reason", "option 2 must begin with [ ] or [x], then its words"),
    "other-mark": (f"Why?\n\n{options('x', 'y')}", "option 2 must begin with [ ] or [x], then its words"),
    "no-words": (f"Why?\n\n{options('x')}\n- [ ]\n\n  reason", "option 2 must begin with [ ] or [x], then its words"),
    "empty-item": (f"Why?\n\n{options('x')}\n-\n", "option 2 must begin with [ ] or [x], then its words"),
    "no-options": ("Why?", "the list of options must be there and come last"),
    "empty": ("", "the list of options must be there and come last"),
    "words-after": (f"Why?\n\n{options('x', ' ')}\n\nAnd so on.", "the list of options must be there and come last"),
    "cut-in-two": (
        f"Why?\n\n{options(' ')}\n\nreason\n\n{options('x', ' ')}",
        "the options are cut into two lists: indent each reason as far as its option's words",
    ),
}


def sphinx(builder, source, out):
    """Build a project in a process of its own, as an author would; return what it wrote to stderr."""
    command = [sys.executable, "-m", "sphinx", "-q", "-j", "2", "-b", builder, "-d", source / "read", source, out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The good page and a page for each mistake; where it was built, and the warnings by page."""
    source = tmp_path_factory.mktemp("project")
    (source / "conf.py").write_text(CONF)
    toctree = "\n".join(["```{toctree}", *MISTAKES, "```"])
    (source / "good.md").write_text(f"{GOOD}\n{toctree}\n")
    for name, (content, _) in MISTAKES.items():
        (source / f"{name}.md").write_text(f"# Page\n\nWords.\n\n:::{{quick-check}}\n{content}\n:::\n")
    return source, sphinx("html", source, source / "out").splitlines()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_warning_with_page_and_line(project, name):
    source, warnings = project
    mine = [line for line in warnings if f"{name}.md" in line]
    assert len(mine) == 1, mine
    assert mine[0].startswith(f"{source / name}.md:5: WARNING: quick-check: {MISTAKES[name][1]}")
    assert "quick-check" not in (source / "out" / f"{name}.html").read_text().split("<body>")[1].split("</article>")[0]


def test_what_is_right_is_not_warned_of(project):
    assert len(project[1]) == len(MISTAKES)


def test_html_has_a_group_of_details_for_each_question(project):
    page = (project[0] / "out" / "good.html").read_text()
    assert re.findall(r'<details class="(\w+)" name="([^"]+)">', page) == [
        ("wrong", "quick-check-1"),
        ("right", "quick-check-1"),
        ("right", "quick-check-2"),
        ("wrong", "quick-check-2"),
    ]
    assert re.findall(r'id="(quick-check-\d)".*\n.*>Quick check<a class="headerlink" href="#\1"', page) == [
        "quick-check-1",
        "quick-check-2",
    ]
    assert "<summary>Nothing <em>at all</em>.</summary>" in page
    assert '<strong class="verdict">Not quite.</strong> See <a class="reference internal" href="#here">' in page
    assert '<strong class="verdict">Right.</strong> Scores double.</p>\n<div class="math' in page
    assert '<div class="highlight-python' in page.split("<details")[0]
    assert "[x]" not in page
    assert "[ ]" not in page


@pytest.mark.parametrize(("builder", "ending", "item"), [("text", "txt", "* "), ("latex", "tex", r"\item {}")])
def test_other_builders_get_a_plain_list(project, builder, ending, item):
    out = project[0] / builder
    assert sphinx(builder, project[0], out) == ""
    written = " ".join("".join(page.read_text() for page in out.glob(f"*.{ending}")).split())
    assert written.count("Quick check") == 2
    assert written.count("Right.") == written.count("Not quite.") == 2
    assert [written.count(words) for words in ("Nothing", "Scores double", "Yes.", "It is not.")] == [1, 1, 1, 1]
    assert f"{item.strip()} Yes." in written.replace(r"\sphinxAtStartPar ", "")


# --- The built book ---


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_three_to_five(chapter):
    page = (HTML / f"{chapter}.html").read_text(encoding="utf-8")
    kinds = re.findall(r'<details class="(right|wrong)" name="(quick-check-\d+)">', page)
    groups = [[kind for kind, name in kinds if name == group] for group in dict.fromkeys(name for _, name in kinds)]
    assert 3 <= len(groups) <= 5
    assert len({group.index("right") for group in groups}) > 1, "the right option always stands in the same place"


@pytest.fixture
def question(browser):
    """The first quick check of chapter 02, in a browser that runs no script."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((HTML / "02-soft-dictionary.html").as_uri())
    yield page.locator(".quick-check").first
    context.close()


def opened(question):
    return [option.get_attribute("open") is not None for option in question.locator("details").all()]


def reasons(question):
    """The texts of the reasons that can be seen, each with the class of its option."""
    options = question.locator("details").all()
    seen = [option for option in options if option.locator(".reason").is_visible()]
    return [(option.get_attribute("class"), option.locator(".reason").inner_text()) for option in seen]


def test_closed_at_first_and_one_open_at_a_time(question):
    assert question.locator(".admonition-title").inner_text().startswith("Quick check")
    assert reasons(question) == []
    for number, option in enumerate(question.locator("details").all()):
        option.locator("summary").click()
        assert opened(question) == [each == number for each in range(len(opened(question)))]
        ((kind, text),) = reasons(question)
        assert text.startswith(f"{SIGNED[kind]} ")
        assert len(text) > 40
    question.locator("summary").last.click()
    assert reasons(question) == []


def test_by_keyboard(question):
    keyboard = question.page.keyboard
    question.locator("summary").first.focus()
    keyboard.press("Enter")
    assert opened(question) == [True, False, False]
    keyboard.press("Tab")
    assert opened(question) == [True, False, False]
    keyboard.press("Space")
    assert opened(question) == [False, True, False]
    keyboard.press("Space")
    assert opened(question) == [False, False, False]


def test_focus_and_verdict_can_be_seen(question):
    summary = question.locator("summary").first
    summary.focus()
    question.page.keyboard.press("Enter")
    style = "element => getComputedStyle(element).outlineStyle"
    assert summary.evaluate(style) == "solid"
    sign = "element => getComputedStyle(element, '::before').content"
    signs = [each.evaluate(sign).split(" / ")[0] for each in question.locator("summary").all()]
    assert signs == [
        {"right": '"✓"', "wrong": '"×"'}[question.locator("details").first.get_attribute("class")],
        '""',
        '""',
    ]


def test_print_shows_every_reason_below_its_option(question):
    question.page.emulate_media(media="print")
    kinds = [option.get_attribute("class") for option in question.locator("details").all()]
    assert [(kind, text.split(" ")[0]) for kind, text in reasons(question)] == [
        (kind, SIGNED[kind].split(" ")[0]) for kind in kinds
    ]
    tops = [part.bounding_box()["y"] for part in question.locator("summary, .reason").all()]
    assert tops == sorted(tops)
    assert len(set(tops)) == 2 * len(kinds)
