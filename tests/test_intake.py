"""Intake: odd notebooks, odd folders and odd archives, each read, or refused in one line while the others go on."""

from __future__ import annotations

import io
import json
import os
import socket
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support import reads, small_repository

from course_utils import release
from course_utils.grading import intake
from course_utils.grading.intake import (
    IntakeError,
    IntakeLimits,
    RefusedError,
    from_archive,
    from_folder,
    read_notebook,
)
from course_utils.grading.records import Submission
from course_utils.notebooks import course_of, nbgrader_of

NAME = "01-sums"
FILE = f"{NAME}.ipynb"
OF_THIS = {"course": {"assignment": NAME}}


def code(source: Any = "x = 1", **changes: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": 1, **changes}


def document(*cells: Any, **changes: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": OF_THIS, "cells": list(cells or [code()]), **changes}


def notebook(*cells: Any, **changes: Any) -> bytes:
    return json.dumps(document(*cells, **changes), ensure_ascii=False).encode()


GOOD = notebook()
OTHER = notebook(metadata={"course": {"assignment": "02-masks"}})
NAMELESS = notebook(metadata={})


def one_line(text: str) -> bool:
    return bool(text) and text.isprintable()


# --- a notebook's bytes -----------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b'{"nbformat": 4, "metadata": {}, "cells": ' + b"[" * depth + b"]" * depth + b"}"


OLD = {
    "nbformat": 3,
    "nbformat_minor": 0,
    "metadata": {"name": "", **OF_THIS},
    "worksheets": [
        {
            "metadata": {},
            "cells": [
                {"cell_type": "heading", "level": 2, "source": ["Sums"], "metadata": {}},
                {
                    "cell_type": "code",
                    "input": ["a = 1\n", "b = 2"],
                    "language": "python",
                    "metadata": {"nbgrader": {"grade_id": "mean"}},
                    "outputs": [{"output_type": "stream", "stream": 7}],
                    "prompt_number": 1,
                    "collapsed": False,
                },
            ],
        }
    ],
}

READ: dict[str, tuple[bytes, list[str], str | None]] = {
    # the bytes, the first code cell's sources, a word of the note (None: nothing to note)
    "as released": (GOOD, ["x = 1"], None),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, ["x = 1"], "utf-8-sig"),
    "utf-16": (GOOD.decode().encode("utf-16"), ["x = 1"], "utf-16"),
    "utf-16 without a mark": (GOOD.decode().encode("utf-16-le"), ["x = 1"], "utf-16"),
    "latin-1": (notebook(code("# été")).decode().encode("latin-1"), ["# été"], "latin-1"),
    "euc-kr": (notebook(code("# 평균")).decode().encode("euc-kr"), ["# 평균"], "euc-kr"),
    "korean": (notebook(code("# 평균")), ["# 평균"], None),
    "format 3": (json.dumps(OLD).encode(), ["a = 1\nb = 2"], "old format 3"),
    "no format": (json.dumps({"metadata": OF_THIS, "cells": [code()]}).encode(), ["x = 1"], "does not say its format"),
    "format as text": (notebook(nbformat="4"), ["x = 1"], "does not say its format"),
    "no minor format": (notebook(nbformat_minor=None), ["x = 1"], "minor"),
    "a later minor format": (notebook(nbformat_minor=77), ["x = 1"], "minor"),
    "minor 0 and no ids": (notebook(nbformat_minor=0), ["x = 1"], None),
    "source in lines": (notebook(code(["a = 1\n", "b = 2"])), ["a = 1\nb = 2"], None),
    "windows' line ends": (notebook(code("a\r\nb\rc")), ["a\nb\nc"], None),
    "no source": (notebook(code(None)), [""], "no source"),
    "half a character": (notebook(code("@")).replace(b"@", b"\\ud83d"), ["�"], "surrogates"),
    "a whole one, escaped": (notebook(code("@")).replace(b"@", b"\\ud83d\\ude00"), ["\U0001f600"], None),
    "not a cell": (notebook(code(), None, "text", 3), ["x = 1"], "cell 2 of the notebook is not a cell"),
    "no cells": (json.dumps({**document(), "cells": []}).encode(), [], None),
    "same ids": (notebook(code("a", id="x"), code("b", id="x")), ["a", "b"], "share an id"),
    "odd ids": (notebook(code("a", id=7), code("b", id="ü" * 99)), ["a", "b"], None),
    "no metadata": (notebook({"cell_type": "code", "source": "x"}), ["x"], None),
    "metadata a list": (notebook(code(metadata=[1])), ["x = 1"], "metadata of cell 1"),
    "nbgrader a number": (notebook(code(metadata={"nbgrader": 1})), ["x = 1"], "'nbgrader'"),
    "grade_id a list": (notebook(code(metadata={"nbgrader": {"grade_id": ["a"]}})), ["x = 1"], "grade_id"),
    "the notebook's metadata a list": (notebook(metadata=[]), ["x = 1"], "metadata of the notebook"),
    "half a kernel": (notebook(metadata={**OF_THIS, "kernelspec": {"name": "python3"}}), ["x = 1"], None),
    "odd tags": (notebook(code(metadata={"tags": ["", "a,b", "a", "a", 7]})), ["x = 1"], None),
    "course a text": (notebook(metadata={"course": "x"}), ["x = 1"], "'course'"),
    "no assignment said": (NAMELESS, ["x = 1"], "which assignment"),
    "not a number": (GOOD.replace(b'"execution_count": 1', b'"execution_count": NaN'), ["x = 1"], "NaN"),
    "a long number": (GOOD.replace(b'"execution_count": 1', b'"execution_count": ' + b"9" * 9999), ["x = 1"], None),
    "outputs of any kind": (notebook(code(outputs={"a": [1]})), ["x = 1"], None),
    "a NUL": (notebook(code("a\0b")), ["a\0b"], None),
}


@pytest.mark.parametrize("case", READ)
def test_odd_notebooks_are_read_into_one_form(case: str) -> None:
    content, sources, word = READ[case]
    nb, notes = read_notebook(content, NAME)
    nbformat.validate(nb, relax_add_props=False)
    assert [cell.source for cell in nb.cells if cell.cell_type == "code"] == sources
    assert all(cell.outputs == [] for cell in nb.cells if cell.cell_type == "code")
    json.dumps(nb, allow_nan=False, ensure_ascii=False).encode()
    assert all(map(one_line, notes))
    assert any(word in note for note in notes) if word else notes == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "no valid JSON"),
        (b"\x80\x04\x95pickle", "no valid JSON"),
        (b"\x00" * 9, "no valid JSON"),
        (b"\xff\xfe\x00", "no valid JSON"),
        (GOOD[:-20], "no valid JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "no list of cells"),
        (nested(100_000), "nested too deeply"),
        (b"[" * 1_000_000, "nested too deeply"),
        (notebook(nbformat=5), "newer"),
        (notebook(nbformat=0), "cannot be upgraded"),
        (json.dumps({"nbformat": 3, "worksheets": 5}).encode(), "cannot be upgraded"),
        (json.dumps({"nbformat": 3, "worksheets": [{"cells": [1]}]}).encode(), "cannot be upgraded"),
        (notebook(cells={"0": code()}), "no list of cells"),
        (notebook(cells=None), "no list of cells"),
        (notebook(*[1] * 5_001), "5001 cells"),
        (notebook(code("#" * 600_000), code("#" * 600_000)), "1200000 characters of code"),
        (notebook(code(), code(7)), "cell 2 whose source is not text"),
        (notebook(code(["a", 1])), "not text"),
        (notebook(code({"a": "b"})), "not text"),
        (notebook({"source": "x"}), "cell 1 of which it cannot be said"),
        (notebook(code(cell_type=["code"])), "cannot be said"),
        (OTHER, "belongs to assignment '02-masks'"),
        (notebook(metadata={"course": {"assignment": "a\nb\x1b[2J"}}), "belongs to assignment"),
    ],
)
def test_what_is_no_notebook_of_the_assignment_is_refused_in_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_notebook(content, NAME)
    assert reason in str(caught.value)
    assert one_line(str(caught.value))


def test_ids_are_unique_and_kept_where_they_can_be() -> None:
    cells = [code(id="mean"), code(id="cell-003"), code(id="mean"), code(), code(id="a b")]
    ids = [cell.id for cell in read_notebook(notebook(*cells), NAME)[0].cells]
    assert ids[:2] == ["mean", "cell-003"]
    assert len(set(ids)) == 5
    ids = [cell.id for cell in read_notebook(notebook(code(id="x" * 64), code(id="x" * 64)), NAME)[0].cells]
    assert ids == ["x" * 64, "cell-002"]  # a longer one would be illegal


def test_of_the_metadata_what_something_reads_is_kept_in_plain_values() -> None:
    deep: Any = "deep"
    for _ in range(500):
        deep = [deep]
    mine = {"grade_id": "mean", "locked": True, "points": float("inf"), "x": {"y": [1]}, "half": "\ud83d", "deep": deep}
    cell = code(metadata={"nbgrader": mine, "course": {"defines": ["mean"]}, "tags": ["skip", 1], "else": deep})
    nb, _ = read_notebook(json.dumps(document(cell)).replace("Infinity", "1e999").encode(), NAME)
    kept = nb.cells[0].metadata
    assert str(kept["nbgrader"].pop("deep")) == "[" * 7 + "None" + "]" * 7
    mine = {"grade_id": "mean", "locked": True, "points": None, "x": {"y": [1]}, "half": "�"}
    assert kept == {"nbgrader": mine, "course": {"defines": ["mean"]}, "tags": ["skip"]}


def test_a_released_notebook_comes_through_as_it_is(tmp_path: Path) -> None:
    made = release.build(small_repository(tmp_path), NAME)
    nb, notes = read_notebook(made.student, NAME)
    released = reads(made.student)
    assert notes == []
    assert nb.metadata == released.metadata
    for cell, other in zip(nb.cells, released.cells, strict=True):
        assert (cell.id, cell.cell_type, cell.source) == (other.id, other.cell_type, other.source)
        assert nbgrader_of(cell) == nbgrader_of(other)
        assert course_of(cell) == course_of(other)


def test_pictures_in_a_written_answer_are_kept() -> None:
    good = {"a.png": {"image/png": "aGk="}, "b": 1, "c": {"image/png": {"x": 1}}}
    text = {"cell_type": "markdown", "source": "![](attachment:a.png)", "metadata": {}, "attachments": good}
    cell = read_notebook(notebook(text), NAME)[0].cells[0]
    assert cell.attachments == {"a.png": {"image/png": "aGk="}, "c": {}}


# --- folders ----------------------------------------------------------------------------------------------------


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course folder in which someone has handed in a good notebook."""
    put(tmp_path, "good", {FILE: GOOD})
    return tmp_path


def put(course: Path, student: str, files: dict[str, bytes], assignment: str = NAME) -> Path:
    folder = course / "submitted" / student / assignment
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def taken(course: Path, student: str, **options: Any) -> Submission:
    """One student's submission; the good one beside it must be there too."""
    found = {one.student: one for one in from_folder(course, NAME, **options)}
    assert (found["good"].notebook, found["good"].refusal) == (GOOD, "")
    return found[student]


FILES: dict[str, tuple[dict[str, bytes], str | None]] = {
    # what the assignment's folder holds, a word of the note (None: nothing to note)
    "hidden files": ({FILE: GOOD, ".DS_Store": b"x", "._" + FILE: b"x", f".ipynb_checkpoints/{FILE}": OTHER}, None),
    "another system's leavings": ({FILE: GOOD, f"__MACOSX/._{FILE}": b"x", "__pycache__/a.pyc": b"x"}, None),
    "another name": ({"my sums [1] 'final'.ipynb": GOOD}, "is named my sums [1] 'final'.ipynb"),
    "a name with a newline": ({"a\nb\x1b.ipynb": GOOD}, "is named a�b�.ipynb"),
    "several, one right": ({FILE: GOOD, "old.ipynb": OTHER}, "2 notebooks were handed in; taken is 01-sums.ipynb"),
    "one folder too many": ({f"{NAME}/{FILE}": GOOD}, None),
    "one above another": ({FILE: GOOD, f"copy/{FILE}": OTHER}, "2 notebooks"),
    "not taken": ({FILE: GOOD, "helper.py": b"x"}, "not taken: helper.py"),
    "without a word of its assignment": ({FILE: NAMELESS}, "which assignment"),
}


@pytest.mark.parametrize("case", FILES)
def test_folders_that_are_unambiguous_are_taken_with_a_note(course: Path, case: str) -> None:
    files, word = FILES[case]
    put(course, "kim", files)
    kim = taken(course, "kim")
    assert (kim.notebook, kim.refusal) in {(GOOD, ""), (NAMELESS, "")}
    assert all(map(one_line, kim.notes))
    assert any(word in note for note in kim.notes) if word else kim.notes == ()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no notebook was handed in"),
        ({"work.py": b"x"}, "no notebook was handed in; there is work.py"),
        ({"a.ipynb": GOOD, "b.ipynb": GOOD}, "none has the name 01-sums.ipynb: a.ipynb, b.ipynb"),
        ({f"a/{FILE}": GOOD, f"b/{FILE}": GOOD}, "more than one has the name"),
        ({"other.ipynb": OTHER}, "belongs to assignment '02-masks'"),
        ({"other.ipynb": NAMELESS}, "does not say what it belongs to"),
        ({FILE: b""}, f"{FILE} is empty"),
        ({FILE: b"{"}, "no valid JSON"),
        ({FILE: GOOD + b" " * 4096}, "is larger than 4096 bytes"),
        ({f"{FILE}/inside": GOOD}, f"{FILE} is a folder"),
        ({f"{number}.txt": b"" for number in range(60)}, "more than 50 files"),
        ({f"{number}/x": b"" for number in range(30)}, "more than 50 files"),
    ],
)
def test_folders_that_are_not_are_refused_and_the_others_go_on(
    course: Path, files: dict[str, bytes], reason: str
) -> None:
    put(course, "kim", files)
    kim = taken(course, "kim", limits=IntakeLimits(notebook_bytes=4096, entries=50))
    assert reason in kim.refusal
    assert one_line(kim.refusal)
    assert kim.notebook == b""


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def bound(path: Path) -> None:
    """A socket's file; its path may be longer than a socket's address, so it is bound from its folder."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (link("/etc/passwd"), "symbolic link"),
        (link(f"../../good/{NAME}/{FILE}"), "symbolic link"),
        (link("nowhere"), "symbolic link"),
        (link(FILE), "symbolic link"),
        (os.mkfifo, "a pipe, a socket or a device"),
        (bound, "a pipe, a socket or a device"),
    ],
)
def test_what_is_no_plain_file_is_never_opened(course: Path, make: Callable[[Path], None], reason: str) -> None:
    folder = put(course, "kim", {})
    make(folder / FILE)
    assert reason in taken(course, "kim").refusal
    make(folder / "data.csv")
    (folder / FILE).unlink()
    (folder / FILE).write_bytes(GOOD)
    kim = taken(course, "kim", declared=["data.csv"])
    assert (kim.notebook, kim.files) == (GOOD, {})
    assert any("data.csv" in note and reason in note for note in kim.notes)


def test_a_device_is_not_opened(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(course, "kim", {})
    try:
        os.mknod(folder / FILE, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # zero: it would never end
    except PermissionError:
        pytest.skip("making a device needs root")
    monkeypatch.setattr(os, "open", unless(FILE, os.open))
    assert "a device" in taken(course, "kim", students=["kim", "good"]).refusal


def unless(name: str, function: Callable[..., int]) -> Callable[..., int]:
    """The function, which must not be called with a device of that name."""

    def checked(path: Any, *arguments: Any, **options: Any) -> int:
        folder = options.get("dir_fd")
        if path == name and stat.S_ISCHR(os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode):
            raise AssertionError("a device was opened")
        return function(path, *arguments, **options)

    return checked


@pytest.mark.parametrize(("make", "reason"), [(os.mkfifo, "a pipe"), (link(f"../../good/{NAME}/{FILE}"), "symbolic")])
def test_a_file_that_is_exchanged_after_the_look_at_it_is_refused(
    course: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], reason: str
) -> None:
    folder = put(course, "kim", {})
    make(folder / FILE)
    plain = os.stat(course / "submitted" / "good" / NAME / FILE)
    true = os.stat

    def deceived(path: Any, **options: Any) -> os.stat_result:
        return plain if path == FILE else true(path, **options)

    monkeypatch.setattr(intake.os, "stat", deceived)
    assert reason in taken(course, "kim").refusal


def test_links_in_the_place_of_folders_are_refused(course: Path) -> None:
    (course / "elsewhere").mkdir()
    (course / "elsewhere" / FILE).write_bytes(GOOD)
    (course / "submitted" / "one").symlink_to("good")
    (course / "submitted" / "two").mkdir()
    (course / "submitted" / "two" / NAME).symlink_to(course / "elsewhere")
    (put(course, "three", {}) / "below").symlink_to(course / "elsewhere")
    (course / "submitted" / "four").symlink_to("nowhere")
    assert "the student's folder is a symbolic link" in taken(course, "one").refusal
    assert f"{NAME} is a symbolic link" in taken(course, "two").refusal
    assert "no notebook was handed in; there is below" in taken(course, "three").refusal
    assert "symbolic link" in taken(course, "four").refusal


def test_the_courses_own_links_are_followed_and_hard_links_are_files(course: Path) -> None:
    os.link(course / "submitted" / "good" / NAME / FILE, put(course, "kim", {}) / FILE)
    (course / "via").mkdir()
    (course / "via" / "submitted").symlink_to(course / "submitted")
    assert taken(course / "via", "kim").notebook == GOOD


def test_a_file_in_the_place_of_the_folder_is_refused(course: Path) -> None:
    (course / "submitted" / "kim").mkdir()
    (course / "submitted" / "kim" / NAME).write_bytes(GOOD)
    assert taken(course, "kim").refusal == f"{NAME} is a file, not a folder"


def test_who_handed_in_nothing_has_no_submission(course: Path) -> None:
    (course / "submitted" / "lee").mkdir()
    put(course, "park", {FILE: GOOD}, assignment="02-masks")
    (course / "submitted" / "README.txt").write_text("not a student")
    put(course, ".cache", {FILE: GOOD})
    assert [one.student for one in from_folder(course, NAME)] == ["good"]


def test_files_and_folders_that_cannot_be_read(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("notebook", "folder", "below"):
        put(course, name, {FILE: GOOD})
    put(course, "below", {"private/x": b""})
    submitted, true = course / "submitted", os.open
    shut = [submitted / "notebook" / NAME / FILE, submitted / "folder" / NAME, submitted / "below" / NAME / "private"]
    nodes = {path.stat().st_ino for path in shut}

    def guarded(path: Any, flags: int, **options: Any) -> int:
        if os.stat(path, dir_fd=options.get("dir_fd")).st_ino in nodes:  # root may read all, so a mode would not do
            raise PermissionError(13, "Permission denied")
        return true(path, flags, **options)

    monkeypatch.setattr(os, "open", guarded)
    assert taken(course, "notebook").refusal == f"{FILE} cannot be read: Permission denied"
    assert taken(course, "folder").refusal == f"{NAME} cannot be read: Permission denied"
    assert taken(course, "below").notes == ("not taken: private",)


def test_declared_files_and_the_timestamp_come_along(course: Path) -> None:
    files = {FILE: GOOD, "data/a.csv": b"1,2", "timestamp.txt": b"2026-03-01 12:00:00 UTC\n", "big.bin": b"0" * 99}
    put(course, "kim", files)
    declared = ["data/a.csv", "big.bin", "none.txt"]
    kim = taken(course, "kim", declared=declared, limits=IntakeLimits(notebook_bytes=4096, file_bytes=50))
    assert kim.files == {"data/a.csv": b"1,2"}
    assert kim.timestamp == "2026-03-01 12:00:00 UTC"
    assert kim.notes[0] == "the declared file big.bin is larger than 50 bytes"
    assert kim.notes[1] == "the declared file none.txt was not handed in"


@pytest.mark.parametrize("stamp", [b"\xff\xff", b"a\nb", b"9" * 4096])
def test_a_timestamp_that_is_none_is_left_out(course: Path, stamp: bytes) -> None:
    put(course, "kim", {FILE: GOOD, "timestamp.txt": stamp})
    kim = taken(course, "kim")
    assert (kim.notebook, kim.timestamp) == (GOOD, "")
    assert kim.notes[0].startswith("timestamp.txt is")


def test_students_keep_their_names(course: Path) -> None:
    names = ["김민준", 'O\'Hara [2] "x"', "a b", "line\nbreak", "-rf", "%2e%2e", "École"]
    for name in names:
        put(course, name, {FILE: GOOD})
    found = from_folder(course, NAME)
    assert [one.student for one in found] == sorted([*names, "good"])
    assert all(one.notes == () and not one.refusal for one in found)


def test_names_are_composed_and_two_that_become_one_are_refused(course: Path) -> None:
    apart = unicodedata.normalize("NFD", "김민준")
    put(course, apart, {FILE: GOOD})
    kim = taken(course, "김민준", students=[apart, "good"])
    assert (kim.notebook, kim.student) == (GOOD, "김민준")
    assert "NFC" in kim.notes[0]
    put(course, "김민준", {FILE: GOOD})
    kim = taken(course, "김민준")
    assert "2 submissions give this student's name" in kim.refusal
    assert kim.notebook == b""


def test_a_name_that_is_not_utf_8_is_refused(course: Path) -> None:
    try:
        put(course, os.fsdecode(b"k\xe9m"), {FILE: GOOD})
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (one,) = (each for each in from_folder(course, NAME) if each.student.startswith("k�m"))
    assert "not UTF-8" in one.refusal


def test_only_the_students_asked_for_are_read_and_one_without_a_submission_is_an_error(course: Path) -> None:
    put(course, "kim", {FILE: GOOD})
    assert [one.student for one in from_folder(course, NAME, students=["kim"])] == ["kim"]
    with pytest.raises(IntakeError, match="no submission of lee for 01-sums"):
        from_folder(course, NAME, students=["kim", "lee"])
    assert from_folder(course, "03-none") == []


def test_no_folder_and_no_archive_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="--course"):
        from_folder(tmp_path, NAME)
    with pytest.raises(IntakeError, match="name the zip"):
        from_archive(tmp_path / "none.zip", NAME)
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(IntakeError, match="not a zip"):
        from_archive(tmp_path / "text.zip", NAME)


# --- archives ---------------------------------------------------------------------------------------------------

Parts = dict[str, bytes] | list[tuple[str | zipfile.ZipInfo, bytes]]


def packed(parts: Parts) -> bytes:
    """A zip; the order and the names are as given, also where no zip should have them."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items() if isinstance(parts, dict) else parts:
            archive.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., dict[str, Submission]]:
    def read(parts: Parts | bytes, **options: Any) -> dict[str, Submission]:
        (tmp_path / "all.zip").write_bytes(parts if isinstance(parts, bytes) else packed(parts))
        found = from_archive(tmp_path / "all.zip", NAME, **options)
        assert [one.student for one in found] == sorted({one.student for one in found})
        for one in found:
            assert all(map(one_line, one.notes)), one.notes
            assert one.notebook or one_line(one.refusal)
        assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]  # nothing was written
        return {one.student: one for one in found}

    return read


Unpacked = Callable[..., dict[str, Submission]]

MOODLE = "김 민준_501_assignsubmission_file_"
LAYOUTS: dict[str, tuple[dict[str, bytes], list[str]]] = {
    "moodle": ({f"{MOODLE}/{FILE}": GOOD, f"Ann Lee_502_assignsubmission_file_/{FILE}": GOOD}, ["Ann Lee", "김 민준"]),
    "moodle, no underscore": ({f"{MOODLE[:-1]}/{FILE}": GOOD}, ["김 민준"]),
    "moodle, a folder in it": ({f"{MOODLE}/mine/{FILE}": GOOD}, ["김 민준"]),
    "moodle without folders": ({f"{MOODLE}{FILE}": GOOD}, ["김 민준"]),
    "moodle, packed again": (
        {f"all/{MOODLE}/{FILE}": GOOD, f"all/Ann Lee_502_assignsubmission_file_/{FILE}": GOOD},
        ["Ann Lee", "김 민준"],
    ),
    "moodle, zips in it": ({f"{MOODLE}/work.zip": packed({f"{NAME}/{FILE}": GOOD})}, ["김 민준"]),
    "moodle, blind": (
        {f"Participant_{n}_assignsubmission_file_/{FILE}": GOOD for n in (7, 8)},
        ["Participant_7", "Participant_8"],
    ),
    "canvas": ({f"kimminjun_12_345_{FILE}": GOOD, f"leeann_13_346_{FILE}": GOOD}, ["kimminjun_12", "leeann_13"]),
    "canvas, late": ({f"kimminjun_LATE_12_345_{FILE}": GOOD}, ["kimminjun_12"]),
    "canvas, again": ({f"kimminjun_12_345_{NAME}-1.ipynb": GOOD}, ["kimminjun_12"]),
    "canvas, korean": ({f"김민준_12_345_{FILE}": GOOD}, ["김민준_12"]),
    "canvas, anonymous": ({f"anon_x7Rdb_345_{FILE}": GOOD}, ["anon_x7Rdb"]),
    "canvas, packed again": (
        {f"all/kimminjun_12_345_{FILE}": GOOD, f"all/leeann_13_346_{FILE}": GOOD},
        ["kimminjun_12", "leeann_13"],
    ),
    "canvas, a zip": ({"kimminjun_12_345_work.zip": packed({FILE: GOOD})}, ["kimminjun_12"]),
    "by student": ({f"kim/{FILE}": GOOD, f"lee/{FILE}": GOOD}, ["kim", "lee"]),
    "by student and assignment": ({f"kim/{NAME}/{FILE}": GOOD, "kim/02-masks/02-masks.ipynb": OTHER}, ["kim"]),
    "nbgrader's whole folder": ({f"submitted/kim/{NAME}/{FILE}": GOOD, "submitted/lee/02/02.ipynb": OTHER}, ["kim"]),
    "a course's folder of one student": ({f"submitted/kim/{NAME}/{FILE}": GOOD}, ["kim"]),
    "one folder around": ({f"all/kim/{FILE}": GOOD, f"all/lee/{FILE}": GOOD}, ["kim", "lee"]),
    "a zip each": ({"kim.zip": packed({FILE: GOOD}), "lee.zip": packed({f"{NAME}/{FILE}": GOOD})}, ["kim", "lee"]),
    "windows' separators": ({f"kim\\{NAME}\\{FILE}": GOOD}, ["kim"]),
    "junk": ({f"kim/{FILE}": GOOD, f"__MACOSX/kim/._{FILE}": b"x", "kim/.DS_Store": b"x", "grades.csv": b"x"}, ["kim"]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts_of_archives(unpacked: Unpacked, case: str) -> None:
    parts, students = LAYOUTS[case]
    found = unpacked(parts)
    assert sorted(found) == students
    assert all(one.notebook == GOOD for one in found.values())


def test_of_several_uploads_to_canvas_the_latest_counts_and_late_is_noted(unpacked: Unpacked) -> None:
    newer = notebook(code("newer"))
    parts = {f"kim_LATE_12_9_{FILE}": GOOD, f"kim_LATE_12_10_{NAME}-1.ipynb": newer, "kim_LATE_12_11_a.csv": b"1"}
    kim = unpacked(parts, declared=["a.csv"])["kim_12"]
    assert (kim.notebook, kim.files) == (newer, {"a.csv": b"1"})
    assert "late, by the mark that Canvas gave it" in kim.notes
    assert f"{FILE} was handed in 2 times: the latest is taken" in kim.notes


def test_a_number_in_the_assignments_name_is_no_second_upload(tmp_path: Path) -> None:
    content = notebook(metadata={"course": {"assignment": "lab-1"}})
    (tmp_path / "all.zip").write_bytes(packed({"kim_12_345_lab-1.ipynb": content}))
    assert from_archive(tmp_path / "all.zip", "lab-1") == [Submission("kim_12", content)]


def test_namesakes_in_moodle_are_told_apart(unpacked: Unpacked) -> None:
    other = notebook(code("another's"))
    found = unpacked({f"{MOODLE}/{FILE}": GOOD, f"{MOODLE.replace('501', '502')}/{FILE}": other})
    assert {name: one.notebook for name, one in found.items()} == {"김 민준_501": GOOD, "김 민준_502": other}
    assert all("same name" in one.notes[0] for one in found.values())


def test_a_text_instead_of_a_notebook_is_refused(unpacked: Unpacked) -> None:
    found = unpacked({"A_1_assignsubmission_onlinetext_/onlinetext.html": b"x", "b_2_text.html": b"x"})
    assert found["A"].refusal == "no notebook was handed in; there is onlinetext.html"
    assert found["b_2"].refusal == "no notebook was handed in; there is text.html"


@pytest.mark.parametrize(
    "name",
    ["../x.ipynb", "kim/../../x.ipynb", "/etc/x.ipynb", "C:\\x.ipynb", "..\\x.ipynb", "\\x.ipynb", "..", "a\0b/c"],
)
def test_paths_that_leave_the_archive_are_nobodys_and_harm_nobody(unpacked: Unpacked, name: str) -> None:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name  # as a hostile writer would
    found = unpacked([(info, GOOD), (f"kim/{FILE}", GOOD)])
    assert found.pop("kim") == Submission("kim", GOOD)
    ((student, stray),) = found.items()
    assert not set("/\\\0.") & set(student)
    assert "is in no student's folder" in stray.refusal
    inner = unpacked({"kim/work.zip": packed([(info, GOOD)])})["kim"]
    assert "leads out of the archive" in inner.refusal


def test_a_notebook_outside_the_students_folders_is_said_to_be(unpacked: Unpacked) -> None:
    found = unpacked({f"kim/{FILE}": GOOD, "lost.ipynb": GOOD})
    assert found["unknown (lost_ipynb)"].refusal == "lost.ipynb is in no student's folder"
    assert found["kim"].notebook == GOOD


def unix(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_special_files_in_archives_are_refused(unpacked: Unpacked, mode: int) -> None:
    found = unpacked([(unix(f"kim/{FILE}", mode | 0o777), b"/etc/passwd"), (unix(f"lee/{FILE}", 0o644), GOOD)])
    assert "a link or another special file" in found["kim"].refusal
    assert found["lee"].notebook == GOOD


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_plain_zips_are_unpacked(unpacked: Unpacked, method: int) -> None:
    info = zipfile.ZipInfo(f"kim/{FILE}")
    info.compress_type = method
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(info, GOOD, compress_type=method)
    assert "use a plain zip" in unpacked(made.getvalue())["kim"].refusal


def patched(content: bytes, at: int, local: int, value: int) -> bytes:
    """A zip whose first entry has another two-byte field, in the list of entries and before the entry."""
    changed = bytearray(content)
    for place in (content.index(b"PK\x01\x02") + at, local):
        changed[place : place + 2] = struct.pack("<H", value)
    return bytes(changed)


def test_encrypted_and_damaged_entries_are_refused(unpacked: Unpacked) -> None:
    parts = {f"kim/{FILE}": GOOD, f"lee/{FILE}": GOOD}
    found = unpacked(patched(packed(parts), at=8, local=6, value=1))
    assert found["kim"].refusal == f"{FILE} is encrypted"
    damaged = bytearray(packed(parts))
    damaged[60:70] = bytes(10)
    found = unpacked(bytes(damaged))
    assert "is damaged in the archive" in found["kim"].refusal
    assert found["lee"].notebook == GOOD


def test_of_two_entries_with_one_path_none_is_taken(unpacked: Unpacked) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        parts = packed([(f"kim/{FILE}", GOOD), (f"kim/{FILE}", OTHER), (f"lee/{FILE}", GOOD)])
    found = unpacked(parts)
    assert "is there twice" in found["kim"].refusal
    assert found["lee"].notebook == GOOD


def test_bombs_are_refused_as_they_unpack(unpacked: Unpacked) -> None:
    bomb = b"0" * 3_000_000
    inner = packed({FILE: bomb})
    parts = {f"a/{FILE}": bomb, "b/w.zip": inner, "c/w.zip": packed({"x": bomb}) + bomb, f"d/{FILE}": GOOD}
    found = unpacked(parts, limits=IntakeLimits(notebook_bytes=100_000, file_bytes=200_000))
    assert found["a"].refusal == f"{FILE} is larger than 100000 bytes"
    assert found["b"].refusal == f"w.zip/{FILE} is larger than 100000 bytes"
    assert found["c"].refusal == "no notebook was handed in; w.zip is larger than 200000 bytes; there is w.zip"
    assert found["d"].notebook == GOOD
    found = unpacked(parts, limits=IntakeLimits(archive_bytes=1_000_000))
    assert "gave 1000000 bytes" in found["a"].refusal
    assert "gave 1000000 bytes" in found["d"].refusal


def test_a_zip_that_lies_about_its_sizes_is_refused(unpacked: Unpacked) -> None:
    content = bytearray(packed({f"kim/{FILE}": b"0" * 3_000_000}))
    listed = content.index(b"PK\x01\x02")
    for place in (listed + 24, 22):  # the unpacked size, in the list and before the entry
        content[place : place + 4] = struct.pack("<L", 100)
    assert unpacked(bytes(content), limits=IntakeLimits(notebook_bytes=1000))["kim"].refusal


def test_archives_of_too_many_entries_are_refused(unpacked: Unpacked) -> None:
    many = {f"{number}.txt": b"" for number in range(30)}
    limits = IntakeLimits(entries=20)
    with pytest.raises(IntakeError, match="more than 20 entries"):
        unpacked(many, limits=limits)
    found = unpacked({"kim/w.zip": packed(many), "lee/w.zip": packed({FILE: GOOD})}, limits=limits)
    assert "w.zip holds more than 20 entries" in found["kim"].refusal
    assert found["lee"].notebook == GOOD


def test_zips_are_looked_into_one_level_deep(unpacked: Unpacked) -> None:
    deep = packed({"w.zip": packed({FILE: GOOD})})
    found = unpacked({"kim/w.zip": deep, "lee/w.zip": b"PK", f"park/{FILE}": GOOD, "park/w.zip": b"PK"})
    assert found["kim"].refusal == "no notebook was handed in; there is w.zip, w.zip/w.zip"
    assert "w.zip is not a zip that can be read" in found["lee"].refusal
    assert found["park"].notebook == GOOD
    assert "w.zip is not a zip that can be read" in found["park"].notes


def test_an_empty_folder_is_a_submission_without_a_notebook(unpacked: Unpacked) -> None:
    found = unpacked({f"kim/{NAME}/": b"", "lee/": b"", f"park/{NAME}/{FILE}": GOOD, f"cho/{NAME}/{FILE}/": b""})
    assert found["kim"].refusal == "no notebook was handed in"
    assert found["cho"].refusal == f"{FILE} is a folder, not a file"
    assert sorted(found) == ["cho", "kim", "park"]


def unflagged(name: bytes) -> bytes:
    """A zip with one notebook below a folder with that name in bytes, whose encoding it does not say."""
    stand_in = "x" * len(name)
    return packed({f"{stand_in}/{FILE}": GOOD}).replace(stand_in.encode(), name)


@pytest.mark.parametrize(
    ("name", "student", "word"),
    [
        ("김민준".encode(), "김민준", None),
        ("김민준".encode("euc-kr"), "김민준", "EUC-KR"),
        (unicodedata.normalize("NFD", "김민준").encode(), "김민준", "NFC"),
        ("André".encode("cp437"), "André", None),
        (b"a\nb", "a\nb", None),
    ],
)
def test_names_whose_letters_the_archive_does_not_tell(
    unpacked: Unpacked, name: bytes, student: str, word: str | None
) -> None:
    (one,) = unpacked(unflagged(name)).values()
    assert (one.student, one.notebook) == (student, GOOD)
    assert word in one.notes[0] if word else one.notes == ()


def test_students_whose_names_become_one_are_refused(unpacked: Unpacked) -> None:
    apart = unicodedata.normalize("NFD", "김민준")
    found = unpacked({f"{apart}/{FILE}": GOOD, f"김민준/{FILE}": GOOD, f"{'x' * 300}/{FILE}": GOOD})
    assert "2 folders have this student's name" in found.pop("김민준").refusal
    ((_, long),) = found.items()
    assert "longer than 128 letters or 200 bytes" in long.refusal


STAMP = b"2026-03-01 12:00:00 UTC"


def test_a_students_own_timestamp_is_not_believed(unpacked: Unpacked) -> None:
    parts = {f"kim/{FILE}": GOOD, "kim/timestamp.txt": STAMP, "lee/w.zip": packed({FILE: GOOD, "timestamp.txt": STAMP})}
    parts |= {f"{MOODLE}/{FILE}": GOOD, f"{MOODLE}/timestamp.txt": STAMP}
    parts |= {f"park_1_2_{FILE}": GOOD, "park_1_3_timestamp.txt": STAMP}
    found = unpacked({**parts, f"cho/{NAME}/{FILE}": GOOD, f"cho/{NAME}/timestamp.txt": STAMP})
    assert {one.timestamp for one in found.values()} == {""}
    note = "timestamp.txt may be the student's own, since it is in no `submitted` folder of the archive: left out"
    assert [name for name, one in found.items() if note in one.notes] == ["cho", "kim", "park_1", "김 민준"]


def test_a_courses_timestamp_is_believed(unpacked: Unpacked) -> None:
    kim = {f"submitted/kim/{NAME}/{FILE}": GOOD, f"submitted/kim/{NAME}/timestamp.txt": STAMP}
    flat = f"submitted/{MOODLE}"  # a platform's export in a folder of that name is the students' all the same
    lee = {"submitted/lee/timestamp.txt": STAMP, f"submitted/lee/{FILE}": GOOD, f"{flat}timestamp.txt": STAMP}
    found = unpacked({**kim, **lee, f"{flat}{FILE}": GOOD})
    assert found["kim"] == Submission("kim", GOOD, timestamp=STAMP.decode())
    assert found["lee"].timestamp == found["김 민준"].timestamp == ""


@pytest.mark.parametrize("around", ["", "submitted/"])
def test_one_students_folders_say_nothing_of_anothers(unpacked: Unpacked, around: str) -> None:
    """Kim has one named after the assignment; lee's notebook is taken from where it lies, park's is refused aloud."""
    kim = {f"{around}kim/{FILE}": GOOD, f"{around}kim/{NAME}/notes.txt": b"x", f"{around}kim/old/{FILE}": OTHER}
    found = unpacked({**kim, f"{around}lee/hw/{FILE}": GOOD, f"{around}park/hw/{FILE}": OTHER})
    assert {name: one.notebook for name, one in found.items()} == {"kim": GOOD, "lee": GOOD, "park": b""}
    assert found["park"].refusal == f"hw/{FILE} belongs to assignment '02-masks', not to '01-sums'"


def test_who_has_only_other_assignments_folders_is_refused_aloud_but_in_a_courses_folder(unpacked: Unpacked) -> None:
    parts = {f"kim/{NAME}/{FILE}": GOOD, "lee/02-masks/02-masks.ipynb": OTHER}
    assert unpacked(parts)["lee"].refusal.startswith("02-masks/02-masks.ipynb belongs to assignment '02-masks', not to")
    assert list(unpacked({f"submitted/{path}": content for path, content in parts.items()})) == ["kim"]


@pytest.mark.parametrize(
    "parts",
    [
        {f"kim/lee_1_2_{FILE}": GOOD},
        {f"kim/lee_1_2_{FILE}": GOOD, "kim/lee_1_3_data.csv": b"1"},
        {f"kim/Lee_1_assignsubmission_file_/{FILE}": GOOD},
        {f"kim/Lee_1_assignsubmission_file_{FILE}": GOOD, "kim/Lee_1_assignsubmission_onlinetext_a.html": b"1"},
        {f"kim/lee/{FILE}": GOOD, "kim/data/numbers.csv": b"1"},
    ],
)
def test_the_only_students_files_do_not_say_who_it_is(unpacked: Unpacked, parts: dict[str, bytes]) -> None:
    ((student, kim),) = unpacked(parts).items()
    assert (student, kim.notebook) == ("kim", GOOD)
    note = "the folder holds a name of a platform's export: is it no student's own?"
    assert (note in kim.notes) == ("kim/data/numbers.csv" not in parts)
