"""Release: what comes out, that it comes out the same every time, and every reason to refuse."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import SMALL, graded, reads, run_in_process, small_repository, stub

from course_utils import notebooks, release
from course_utils.release import ReleaseError

NAME = "01-sums"


def built(tmp_path: Path, text: str = SMALL) -> release.Released:
    return release.build(small_repository(tmp_path, text), NAME)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = small_repository(tmp_path_factory.mktemp("repository"))
    (root / "solutions" / NAME / "data").mkdir()
    (root / "solutions" / NAME / "data" / "table.csv").write_text("a,b\n")
    release.release(root, NAME)
    return root


def test_student_notebook_has_stubs_and_no_hidden_test_and_no_output(released: Path) -> None:
    nb = reads((released / "exercises" / NAME / f"{NAME}.ipynb").read_bytes())
    text = "\n".join(cell.source for cell in nb.cells)
    assert text.count("raise NotImplementedError()") == 2
    assert 'def mean(numbers):\n    """The mean of a list of numbers."""\n    # YOUR CODE HERE' in text
    for secret in ("SEED", "HIDDEN", "SOLUTION", "the list was changed", "max(numbers)"):
        assert secret not in text
    assert "# Looks at negative numbers." in text
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in nb.cells)


def test_metadata_says_where_the_notebook_comes_from(released: Path) -> None:
    nb = reads((released / "exercises" / NAME / f"{NAME}.ipynb").read_bytes())
    course = nb.metadata["course"]
    assert nb.metadata["kernelspec"] == release.KERNELSPEC
    assert set(nb.metadata) == {"kernelspec", "course"}
    assert (course["assignment"], course["version"]) == (NAME, notebooks.package_version())
    assert re.fullmatch("[0-9a-f]{64}", course["source_hash"])
    assert [problem["name"] for problem in course["problems"]] == ["mean", "spread"]


def test_cell_ids_come_from_grade_id_or_place(released: Path) -> None:
    nb = reads((released / "exercises" / NAME / f"{NAME}.ipynb").read_bytes())
    assert [cell.id for cell in nb.cells[:5]] == ["cell-001", "needs", "setup", "cell-003", "mean"]


def test_instructor_version_and_files_beside_the_source_are_written_too(released: Path) -> None:
    instructor = reads((released / "_build" / "source" / NAME / f"{NAME}.ipynb").read_bytes())
    assert "max(numbers)" in "\n".join(cell.source for cell in instructor.cells)
    for folder in ("exercises", "_build/source"):
        assert (released / folder / NAME / "data" / "table.csv").read_text() == "a,b\n"
    assert not list(released.rglob("*.tmp"))


DECLARED = SMALL.replace("  minutes: 5\n", "  minutes: 5\n  files: [record.txt]\n")


def test_a_declared_file_is_what_the_reference_hands_in_and_is_not_given_out(tmp_path: Path) -> None:
    read = "from pathlib import Path\nassert Path('record.txt').read_text() == 'mine'\n"
    read += "assert 'max(numbers)' in Path('01-sums.ipynb').read_text()"
    root = small_repository(tmp_path, DECLARED.replace("SEED = 7\n", f"SEED = 7\n{read}\n"))
    (root / "solutions" / NAME / "record.txt").write_text("mine")
    made = release.release(root, NAME)
    assert (made.extras, made.handed_in) == ({}, {"record.txt": b"mine"})
    assert not list(root.glob("[e_]*/**/record.txt"))
    assert release.up_to_date(root) == []


def test_a_declared_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"solutions/01-sums/record.txt is missing: the source declares it"):
        built(tmp_path, DECLARED)


def test_checksums_are_those_of_nbgrader(released: Path) -> None:
    from nbgrader.utils import compute_checksum

    nb = reads((released / "exercises" / NAME / f"{NAME}.ipynb").read_bytes())
    for cell in nb.cells:
        if notebooks.grade_id(cell):
            assert notebooks.checksum(cell) == compute_checksum(cell) == cell.metadata.nbgrader.checksum


def test_bytes_are_the_same_in_another_process(released: Path) -> None:
    code = "import sys, pathlib; from course_utils import release; sys.stdout.buffer.write("
    code += f"release.build(pathlib.Path({str(released)!r}), {NAME!r}).student)"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert again == (released / "exercises" / NAME / f"{NAME}.ipynb").read_bytes()
    assert release.up_to_date(released) == []


def test_what_jupytext_writes_when_the_source_is_edited_in_jupyterlab_is_tolerated(tmp_path: Path) -> None:
    text = SMALL.replace(
        "format_name: myst", "format_name: myst\n    format_version: 0.13\n    jupytext_version: 1.19.6"
    )
    text = text.replace("display_name: Python 3", "display_name: Python 3 (ipykernel)")
    assert reads(built(tmp_path, text).student).metadata["kernelspec"] == release.KERNELSPEC


# --- make check ---------------------------------------------------------------------------------------------------


def faults_after(tmp_path: Path, change: str) -> list[str]:
    root = small_repository(tmp_path)
    made = release.build(root, NAME)
    notebook = root / "exercises" / NAME / f"{NAME}.ipynb"
    release.write_atomically(notebook, made.student)
    if change == "touched":
        notebook.write_bytes(notebook.read_bytes().replace(b"The mean", b"the mean", 1))
    elif change == "missing":
        notebook.unlink()
    elif change == "orphaned":
        release.write_atomically(root / "exercises" / "old" / "old.ipynb", made.student)
    elif change == "source":
        source = root / "solutions" / NAME / f"{NAME}.md"
        source.write_text(source.read_text() + "\nOne more sentence.\n")
    return release.up_to_date(root)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("touched", r"exercises/01-sums/01-sums.ipynb is not what its source gives: .*`course release 01-sums`"),
        ("source", r"exercises/01-sums/01-sums.ipynb is not what its source gives: .*`course release 01-sums`"),
        ("missing", r"exercises/01-sums/01-sums.ipynb is missing: run `course release 01-sums`"),
        ("orphaned", r"exercises/old/old.ipynb has no source in solutions/: delete it"),
    ],
)
def test_up_to_date_says_what_differs(tmp_path: Path, change: str, said: str) -> None:
    (line,) = faults_after(tmp_path, change)
    assert re.fullmatch(said, line)


def test_up_to_date_is_content_when_nothing_changed(tmp_path: Path) -> None:
    assert faults_after(tmp_path, "nothing") == []


# --- refusals -----------------------------------------------------------------------------------------------------

FORM = [
    (
        "course:\n  title: Two small sums",
        "other:\n  title: Two small sums",
        "its header has no `course` with a `title`",
    ),
    (
        "    return max(numbers)",
        "    ### BEGIN SOLUTION\n    return max(numbers)",
        "cell 'spread': ### BEGIN SOLUTION in line 4 comes before the END of the one in line 3",
    ),
    ("grade_id: spread-visible", "grade_id: mean-visible", "cell 'mean-visible': its grade_id stands on 2 cells"),
    ("  grade_id: mean-hidden\n", "", "cell 6 (`# Looks at longer lists, and at a list …`) has no grade_id"),
    ("  grade_id: spread\n", "", "cell 8 (`def spread(numbers):`) has no grade_id"),
    ("min(numbers)\n    ### END SOLUTION", "min(numbers)", "cell 'spread': ### BEGIN SOLUTION in line 3 has no END"),
    (
        '    """Largest minus smallest."""\n    ### BEGIN SOLUTION',
        '    """Largest minus smallest."""',
        "cell 'spread': ### END SOLUTION in line 4 has no BEGIN",
    ),
    (
        '"negative numbers"\n### END HIDDEN TESTS',
        '""',
        "cell 'spread-hidden': ### BEGIN HIDDEN TESTS in line 2 ha",
    ),
    (
        "negative numbers.\n### BEGIN HIDDEN TESTS",
        "-",
        "cell 'spread-hidden': ### END HIDDEN TESTS in line 4 ha",
    ),
    ("import math\n", "### BEGIN SOLUTION\n### END SOLUTION\n", "cell 'setup' has ### BEGIN SOLUTION but is not a sol"),
    ("  points: 30\n", "", "cell 'mean-hidden': a graded cell needs `points`"),
    ("points: 20", "points: 25", "the automatic points add up to 105, not to 100 (mean-visible 25, mean-hidden 30,"),
    (
        "course: {problem: mean, tests: visible}",
        "course: {problem: mean, tests: hidden}",
        "cell 'mean-visible' has no line `SEED = <integer>`",
    ),
    (
        "{problem: mean, tests: hidden}",
        "{problem: mean, tests: visible}",
        "cell 'mean': its problem 'mean' has no hidden",
    ),
    ("SEED = 7\n", "SEED = int('7')\n", "cell 'spread-hidden' has no line `SEED = <integer>` between"),
    (", defines: [mean]", "", "cell 'mean': a solution cell needs course metadata `defines`"),
    ("defines: [mean]", "defines: [mean, median]", "cell 'mean' does not define median, which its metadata"),
    ("return sum(numbers)", "return sum(numbers", "cell 'mean' is not valid Python: '(' was never closed (line 4)"),
    (
        "{problem: mean, title: The mean,",
        "{title: The mean,",
        "cell 'mean': a solution cell needs course metadata `prob",
    ),
    (
        "{problem: spread, tests: visible}",
        "{tests: visible}",
        "cell 'spread-visible': a test cell needs course metadata",
    ),
    ("tests: visible}", "tests: seen}", "cell 'mean-visible': course metadata `tests` must be visible or hidden"),
    ("  title: Two small sums", "  title: [", "solutions/01-sums/01-sums.md cannot be read: "),
]


@pytest.mark.parametrize(("old", "new", "said"), FORM)
def test_a_fault_in_form_is_refused_in_one_line_that_names_the_cell(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in SMALL
    with pytest.raises(ReleaseError) as refusal:
        built(tmp_path, SMALL.replace(old, new, 1))
    assert str(refusal.value).startswith(f"{NAME}: {said}")
    assert "\n" not in str(refusal.value)


def test_a_problem_without_visible_tests_is_refused(tmp_path: Path) -> None:
    text = SMALL.replace("{problem: mean, tests: visible}", "{problem: other, tests: visible}", 1)
    with pytest.raises(ReleaseError, match=r"cell 'mean': its problem 'mean' has no visible test cell"):
        built(tmp_path, text)


RUNS = [
    (
        "return sum(numbers) / len",
        "return 1 + sum(numbers) / len",
        "cell 'mean-visible': the reference solution stops w",
    ),
    ("import math\n", "import no_such_module\n", "cell 'setup': the reference solution stops with ModuleNotFoundError"),
    (
        "SEED = 7\n",
        "SEED = 7\nimport sys; sys.stderr.write('x')\n",
        "cell 'spread-hidden': the reference solution gets 0",
    ),
    (
        "assert spread([3, 5, 4])",
        "assert callable(spread) or spread([3, 5, 4])",
        "cell 'spread-visible' gives 20 points to the",
    ),
    (
        "import math\n",
        "import os; os._exit(1)\n",
        "the reference solution does not run: the kernel died in cell 'se",
    ),
    (
        "assert spread([3, 5, 4])",
        "assert spread.__code__ and spread([3, 5, 4])",
        "cell 'spread-visible' does not run apart from the student's process: AttributeError",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), RUNS)
def test_a_reference_that_loses_and_a_stub_that_earns_are_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in SMALL
    root = small_repository(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(ReleaseError) as refusal:
        release.release(root, NAME)
    assert str(refusal.value).startswith(f"{NAME}: {said}")
    assert "\n" not in str(refusal.value)
    assert not list((root / "exercises").iterdir())


def test_an_unknown_assignment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"02-none: there is no solutions/02-none/02-none.md"):
        release.build(small_repository(tmp_path), "02-none")


def test_without_the_grade_extra_one_line_names_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(ReleaseError, match=r"jupytext, which is not installed: pip install -e '\.\[grade\]'"):
        built(tmp_path)


# --- writing ------------------------------------------------------------------------------------------------------


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "notebook.ipynb"
    release.write_atomically(target, b"old")

    def interrupted(*paths: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        release.write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


# --- the in-process runner agrees ---------------------------------------------------------------------------------


def test_in_process_the_reference_earns_all_and_the_stub_nothing(tmp_path: Path) -> None:
    made = built(tmp_path)
    assert set(run_in_process(graded(made, {})).values()) == {None}
    assert None not in run_in_process(graded(made, stub(made))).values()


def test_in_process_the_seed_reaches_the_hidden_tests(tmp_path: Path) -> None:
    made = built(tmp_path)
    answer = {"spread": "def spread(numbers):\n    return 14 if 0 in numbers else 2"}
    assert run_in_process(graded(made, answer))["spread-hidden"] is None
    assert run_in_process(graded(made, answer), seed=8)["spread-hidden"] == "AssertionError: negative numbers"
