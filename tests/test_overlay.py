"""The private overlay: its seed and tests are in what grades, and nowhere in what students get."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from support import SEED, WRITTEN, graded, reads, run_in_process, small_repository, submission

from course_utils import overlay, release
from course_utils.grading.grader import Task
from course_utils.grading.records import Submission
from course_utils.notebooks import grade_id
from course_utils.overlay import OverlayError
from course_utils.release import ReleaseError

NAME = "01-sums"
CHECK = 'for n in range(3):\n    assert mean([n, SEED + n]) == n + SEED / 2, "a check of our own"\n'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"), WRITTEN)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    (folder / NAME).mkdir(parents=True)
    (folder / f"{NAME}.toml").write_text("seed = 4_711\n")
    (folder / NAME / "mean.py").write_text(CHECK)
    return folder


def sources(made: release.Released) -> dict[str, str]:
    return {grade_id(cell): cell.source for cell in reads(made.instructor).cells if grade_id(cell)}


def test_seed_and_further_checks_are_in_the_hidden_tests_alone(root: Path, private: Path) -> None:
    plain, ours = (sources(release.build(root, NAME, folder)) for folder in (None, private))
    assert {name for name in plain if plain[name] != ours[name]} == {"mean-hidden", "spread-hidden"}
    assert [SEED.findall(ours[name]) for name in ("mean-hidden", "spread-hidden")] == [["4711"], ["4711"]]
    assert ours["mean-hidden"].endswith(f'"the list was changed"\n{CHECK}### END HIDDEN TESTS')
    assert ours["spread-hidden"] == plain["spread-hidden"].replace("SEED = 7\n", "SEED = 4711\n")


def test_files_with_a_byte_order_mark_are_the_same(root: Path, private: Path) -> None:
    plain = release.build(root, NAME, private)
    for path in (private / f"{NAME}.toml", private / NAME / "mean.py"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert release.build(root, NAME, private) == plain


def test_a_check_that_python_warns_of_is_used_without_a_word(root: Path, private: Path) -> None:
    (private / NAME / "mean.py").write_text('assert (mean([1]) == 2, "always true")')
    assert b"always true" in release.build(root, NAME, private).instructor


def test_points_and_the_students_notebook_stay_byte_for_byte(root: Path, private: Path) -> None:
    plain, ours = (release.build(root, NAME, folder) for folder in (None, private))
    assert ours.student == plain.student
    assert ours.problems == plain.problems
    assert not any(secret in ours.student for secret in (b"4711", b"a check of our own", b"HIDDEN"))


def test_the_checks_decide(root: Path, private: Path) -> None:
    answer = {"mean": "def mean(numbers):\n    return 0.5 if numbers == [0, 4711] else sum(numbers) / len(numbers)"}
    verdicts = [run_in_process(graded(release.build(root, NAME, each), answer)) for each in (None, private)]
    assert [each["mean-hidden"] for each in verdicts] == [None, "AssertionError: a check of our own"]
    assert verdicts[0]["spread-hidden"] == verdicts[1]["spread-hidden"] is None


def test_what_was_graded_without_it_is_graded_again(root: Path, private: Path, made_by: Submission) -> None:
    marks = [Task.of(root, NAME, folder).fingerprint(made_by) for folder in (None, None, private)]
    assert marks[0] == marks[1] != marks[2]
    (private / NAME / "mean.py").write_text(CHECK.replace("3", "4"))
    assert Task.of(root, NAME, private).fingerprint(made_by) not in marks


@pytest.fixture(scope="module")
def made_by(root: Path) -> Submission:
    nb = submission(release.build(root, NAME), {})
    return Submission("kim", nbformat.writes(nb).encode())


def test_an_overlay_without_this_assignment_changes_nothing(root: Path, tmp_path: Path) -> None:
    assert release.build(root, NAME, tmp_path) == release.build(root, NAME)


def test_release_writes_it_where_nbgrader_looks_and_not_into_exercises(tmp_path: Path, private: Path) -> None:
    root = small_repository(tmp_path / "repository", WRITTEN)
    release.release(root, NAME, private)
    hidden, given = ((root / each / NAME / f"{NAME}.ipynb").read_text() for each in ("_build/source", "exercises"))
    assert "a check of our own" in hidden
    assert "a check of our own" not in given
    assert release.up_to_date(root) == []


def test_release_refuses_checks_that_the_reference_does_not_pass(root: Path, private: Path) -> None:
    (private / NAME / "mean.py").write_text('assert mean([1, 2]) == 2, "wrong"')
    with pytest.raises(ReleaseError, match=r"^01-sums: cell 'mean-hidden': the reference solution stops .*: wrong$"):
        release.release(root, NAME, private)


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (f"{NAME}.toml", "seed = '5'", "seed: must be a whole number, 0 or more, not '5'"),
        (f"{NAME}.toml", "seed = true", "seed: must be a whole number, 0 or more, not True"),
        (f"{NAME}.toml", "seed = -1", "seed: must be a whole number, 0 or more, not -1"),
        (f"{NAME}.toml", "seed = 1.0", "seed: must be a whole number, 0 or more, not 1.0"),
        (f"{NAME}.toml", "sead = 1", "no key 'sead'; there is seed"),
        (f"{NAME}.toml", "seed = ", "cannot be read as TOML: Invalid value"),
        (f"{NAME}/median.py", "", "belongs to no problem with hidden tests; there may be mean.py, spread.py"),
        (f"{NAME}/why.py", "", "belongs to no problem with hidden tests; there may be mean.py, spread.py"),
        (f"{NAME}/mean.txt", "", "belongs to no problem with hidden tests"),
        (f"{NAME}/spread.py", "assert (", "is not valid Python: '(' was never closed (line 1)"),
        (f"{NAME}/spread.py", "a = '\0'", "is not valid Python: source code string cannot contain null bytes"),
        (f"{NAME}/spread.py", "x = 1\n### END HIDDEN TESTS\nprint(x)", "line 2 has END HIDDEN TESTS: "),
        (f"{NAME}/spread.py", "\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "line 2 has BEGIN SOLUTION: "),
        (f"{NAME}/spread.py", "x = 1\n### BEGIN MARK SCHEME", "line 2 has BEGIN MARK SCHEME: "),
        (f"{NAME}/spread.py", "x = 1\nreturn 1", "is not valid Python: 'return' outside function (line 2)"),
        (f"{NAME}/spread.py", "\n\nawait spread", "is not valid Python: 'await' outside function (line 3)"),
        (f"{NAME}/spread.py", "from __future__ import annotations", "at the beginning of the file (line 1)"),
        ("02-other.toml", "seed = 1", "there is no assignment '02-other': is the name right?"),
        ("01-sum/mean.py", "", "there is no assignment '01-sum': is the name right?"),
    ],
)
def test_a_fault_is_one_line_that_names_the_file(
    root: Path, tmp_path: Path, path: str, content: str, said: str
) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(content)
    with pytest.raises(OverlayError) as caught:
        release.build(root, NAME, tmp_path)
    named = tmp_path / path if path.startswith(NAME) else tmp_path / Path(path).parts[0]
    assert str(caught.value).startswith(f"{named}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(OverlayError, match="nowhere: there is no such folder"):
        release.build(root, NAME, tmp_path / "nowhere")


def test_what_systems_leave_behind_is_no_fault(root: Path, private: Path) -> None:
    for path in (".git/config", ".DS_Store", "README.md", f"{NAME}/.swp", f"{NAME}/__pycache__/mean.pyc"):
        (private / path).parent.mkdir(exist_ok=True)
        (private / path).write_text("")
    overlay.require(private, [NAME])
    assert b"a check of our own" in release.build(root, NAME, private).instructor


def test_an_overlay_that_would_show_is_refused(tmp_path: Path, private: Path) -> None:
    """A seed outside the region: the students' notebook would change with it."""
    text = WRITTEN.replace("# Looks at negative numbers.\n", "SEED = 3\n# Looks at negative numbers.\n")
    with pytest.raises(ReleaseError, match=r"the overlay .* would show in the students' notebook"):
        release.build(small_repository(tmp_path / "repository", text), NAME, private)


def test_metadata_say_nothing_of_it(root: Path, private: Path) -> None:
    plain, ours = (json.loads(release.build(root, NAME, each).instructor)["metadata"] for each in (None, private))
    assert plain == ours
