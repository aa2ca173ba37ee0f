"""Backup and restore: what comes back is what was there, from any database to any, and nothing is lost on the way."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from postgresql import Server
from support import reads, small_repository

from course_utils import release
from course_utils._errors import CourseError
from course_utils.grading import backup as writing
from course_utils.grading import report
from course_utils.grading.backup import BackupError, backup
from course_utils.grading.database import GradebookError
from course_utils.grading.gradebook import Book
from course_utils.grading.records import Graded, Verdict
from course_utils.grading.restore import restore

NAME = "01-sums"
COURSE = Path(sys.executable).parent / "course"
POINTS = {"mean-visible": 20, "mean-hidden": 30, "spread-visible": 20, "spread-hidden": 30}
KIM, ODD = "김민준", os.fsdecode(b"kim\xff\\udcff")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    return release.build(small_repository(tmp_path_factory.mktemp("repository")), NAME)


def fill(course: Path, url: str, made: release.Released, students: tuple[str, ...] = ("ann", KIM)) -> None:
    """A graded class, with something of every kind that nbgrader keeps."""
    with Book(course, url) as book:
        book.register(NAME, reads(made.instructor))
        for student in students:
            hand_in(course / "submitted" / student / NAME / f"{NAME}.ipynb", student)
            verdicts = tuple(Verdict(name, name != "mean-hidden", "no: '\n\x00") for name in POINTS)
            book.write(Graded(student, NAME, verdicts=verdicts, seconds=1 / 3), "f", "2026-03-01 12:00:00.25 UTC")
        with Gradebook(book.url) as stock:
            stock.update_or_create_assignment(NAME, duedate="2026-03-01 11:00:00 UTC")
            stock.grant_extension(NAME, students[0], minutes=10)
            grade = stock.find_grade("mean-hidden", NAME, NAME, students[0])
            grade.manual_score, grade.extra_credit = 1 / 3, 2.0
            stock.find_comment("mean", NAME, NAME, students[0]).manual_comment = "Gut, 잘했어요\n"
            stock.db.commit()
    for name in ("course.toml", "students.csv"):
        (course / name).write_text("# mine\n")


def hand_in(path: Path, words: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(words.encode(errors="surrogateescape"))


@pytest.fixture(scope="module")
def graded(made: release.Released, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded")
    fill(folder, "", made)
    return folder


@pytest.fixture
def course(graded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(graded, tmp_path / "course")


def tree(folder: Path) -> dict[str, bytes | None]:
    """All files and folders; the gradebook's file has other pages each time, its rows count."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    kept = {name: path for name, path in found.items() if not name.startswith(("gradebook.db", "before-restore"))}
    return {name: path.read_bytes() if path.is_file() else None for name, path in kept.items()}


def export(course: Path, made: release.Released, url: str = "") -> str:
    with Book(course, url) as book:
        return report.csv_text(book.scores(NAME), made.problems)


def state(course: Path, made: release.Released, url: str = "") -> tuple[str, dict[str, bytes | None]]:
    return export(course, made, url), tree(course)


# --- there and back -----------------------------------------------------------------------------------------------


def test_a_course_comes_back_from_any_database_to_any(
    course: Path, made: release.Released, tmp_path: Path, postgres: Server
) -> None:
    before = state(course, made)
    assert f"{KIM},2026-03-01T12:00:00.250000,3600.25,70,100" in before[0]
    backup(course, tmp_path / "0.zip")
    shutil.rmtree(course)
    for number, url in enumerate((postgres.emptied(), "", f"sqlite:///{tmp_path / 'elsewhere.db'}", postgres.new())):
        folder = tmp_path / f"course{number}"
        contents, aside = restore(tmp_path / f"{number}.zip", folder, url)
        assert (contents.students, contents.assignments, contents.files, aside) == (2, 1, 10, None)
        assert state(folder, made, url) == before
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
        backup(folder, tmp_path / f"{number + 1}.zip", url)
        assert (tmp_path / f"{number + 1}.zip").read_bytes() == (tmp_path / "0.zip").read_bytes()


def test_a_restored_class_goes_on_where_it_was(course: Path, made: release.Released, tmp_path: Path) -> None:
    backup(course, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", tmp_path / "new")
    with Book(tmp_path / "new") as book:
        assert book.done(NAME) == {"ann": "f", KIM: "f"}
        book.register(NAME, reads(made.instructor))
        book.write(Graded("lee", NAME, verdicts=tuple(Verdict(name, True) for name in POINTS)), "f")
        assert [score.student for score in book.scores(NAME)] == ["ann", "lee", KIM]


def test_any_name_comes_back_an_empty_folder_too_and_no_link_is_followed(
    course: Path, made: release.Released, tmp_path: Path
) -> None:
    for name in (ODD, "kim\\udcff", "-r", 'o\'hara "q"', "a\nb"):
        hand_in(course / "submitted" / name / NAME / "x", name)
    (course / "submitted" / "empty" / NAME).mkdir(parents=True)
    before = tree(course)
    (tmp_path / "secret").write_text("secret")
    (course / "submitted" / "ann" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(course / "submitted" / "ann" / "pipe")
    left_out = backup(course, tmp_path / "b.zip").left_out
    assert left_out == ["submitted/ann/link: a symbolic link", "submitted/ann/pipe: no plain file"]
    restore(tmp_path / "b.zip", tmp_path / "new")
    assert tree(tmp_path / "new") == before


def test_what_is_there_is_refused_or_kept_aside_as_a_course_of_its_own(
    course: Path, made: release.Released, tmp_path: Path, db: str
) -> None:
    backup(course, tmp_path / "b.zip")
    restored = state(course, made)
    other = tmp_path / "other"
    other.mkdir()
    (other / "nbgrader_config.py").write_text("# mine\n")
    fill(other, db, made, ("lee",))
    (other / "feedback").mkdir()
    before = state(other, made, db)
    with pytest.raises(
        BackupError, match=r"not empty \(submitted, autograded, logs, course.toml, students.csv, 1 student, 1 assig"
    ):
        restore(tmp_path / "b.zip", other, db)
    assert state(other, made, db) == before
    for number in (1, 2):
        _, aside = restore(tmp_path / "b.zip", other, db, force=True)
        assert aside == other / f"before-restore-{number}"
        after = state(other, made, db)
        assert after[0] == restored[0]
        assert after[1] == {**restored[1], "nbgrader_config.py": b"# mine\n"}
    assert export(other / "before-restore-1", made) == before[0]
    assert tree(other / "before-restore-1") == {name: text for name, text in before[1].items() if "config" not in name}
    assert export(other / "before-restore-2", made) == restored[0]


def test_the_commands_say_what_they_did(course: Path, tmp_path: Path) -> None:
    root = small_repository(tmp_path / "repository")
    link = course / "submitted" / "ann" / "\x1b[31mlink"
    link.symlink_to("/etc/passwd")
    printed = [
        subprocess.run([COURSE, *words], cwd=root, capture_output=True, text=True, check=False)
        for words in (
            ("backup", tmp_path / "b.zip", "--course", course),
            ("restore", tmp_path / "b.zip", "--course", course, "--force"),
            ("restore", tmp_path / "b.zip", "--course", course),
        )
    ]
    held = "2 students and 1 assignment in the gradebook, 10 files"
    assert printed[0].stdout == (
        f"Left out: 'submitted/ann/\\x1b[31mlink: a symbolic link'\n{tmp_path / 'b.zip'}: {held}\n"
    )
    assert printed[1].stdout == f"{course}: {held}\nWhat was there before: {course / 'before-restore-1'}\n"
    assert [each.stderr.count("\n") for each in printed] == [0, 0, 1]
    assert printed[2].stderr.startswith("course: ")
    assert "--force" in printed[2].stderr


# --- what a backup cannot be --------------------------------------------------------------------------------------


def test_a_backup_that_cannot_be_is_one_line_and_leaves_no_file(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.zip").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "gradebook.db").write_bytes((course / "gradebook.db").read_bytes())
    (tmp_path / "linked" / "submitted").symlink_to(course / "submitted")

    def no_room(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", no_room)
    cases = {
        (course, tmp_path / "there.zip"): "is there already: give another name",
        (course, tmp_path / "nowhere" / "b.zip"): "there is no folder .*nowhere",
        (course, course / "logs" / "b.zip"): "outside .*logs",
        (tmp_path / "empty", tmp_path / "b.zip"): "there is no gradebook .*empty/gradebook.db: grade first, or",
        (tmp_path / "nowhere", tmp_path / "b.zip"): "there is no course folder .*nowhere",
        (tmp_path / "linked", tmp_path / "b.zip"): "submitted is a symbolic link",
        (course, tmp_path / "b.zip"): "b.zip: No space left on device; nothing was changed",
    }
    for (folder, file), words in cases.items():
        with pytest.raises(CourseError, match=words) as caught:
            backup(folder, file)
        assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "empty", "linked", "there.zip"]
    assert list((tmp_path / "empty").iterdir()) == []


def rewritten(source: Path, target: Path, **changes: Callable[[dict], object] | dict[str, bytes] | str) -> Path:
    """A backup with another manifest, with members of other content or a link, all else as it was."""
    edit, members = changes.get("edit", lambda _: None), changes.get("members", {})
    assert callable(edit)
    assert isinstance(members, dict)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        about = json.loads(old.read("manifest.json"))
        edit(about)
        content = {info.filename: old.read(info) for info in old.infolist()} | members
        for name, text in content.items():
            info = zipfile.ZipInfo(name)
            if name == changes.get("link"):
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            new.writestr(info, json.dumps(about) if name == "manifest.json" else text)
    return target


def renamed(to: str) -> Callable[[dict], object]:
    return lambda about: about["entries"][-1].update(path=to)


LOG = f"course/logs/{NAME}/ann.log"
SPOILT: dict[str, tuple[dict, str]] = {
    "content": ({"members": {LOG: b"100 of 100"}}, "not as it was backed up: the backup is damaged"),
    "a hash": ({"edit": lambda about: about["entries"][-1].update(sha256="0" * 64)}, "not as it was backed up"),
    "rows": ({"members": {"gradebook/student.jsonl": b"[]\n"}}, "not as it was backed up"),
    "outside": ({"edit": renamed("course/../../evil")}, "no place in a course"),
    "absolute": ({"edit": renamed("/course/logs/x")}, "no place in a course"),
    "above": ({"edit": renamed("course/logs/./x")}, "no place in a course"),
    "another folder": ({"edit": renamed("course/nbgrader_config.py")}, "no place in a course"),
    "another table": ({"edit": renamed("gradebook/users.jsonl")}, "no place in a course"),
    "not in the list": ({"members": {"course/logs/more": b"x"}}, "its list of files is not what it holds"),
    "not in the zip": ({"edit": renamed("course/logs/more")}, "its list of files is not what it holds"),
    "a link": ({"link": LOG}, "holds a link"),
    "another nbgrader": ({"edit": lambda about: about.update(tables="0", nbgrader="9")}, "gradebook is of nbgrader 9"),
    "another form": ({"edit": lambda about: about.update(format=2)}, r"another form \(2\)"),
    "a bomb": ({"edit": lambda about: about["entries"][-1].update(bytes=10**15)}, "more than the disk has left"),
    "no number": ({"edit": lambda about: about["entries"][-1].update(bytes="7")}, "a size that cannot be"),
    "half a byte": ({"edit": lambda about: about["entries"][-1].update(bytes=0.5)}, "a size that cannot be"),
    "less than nothing": (
        {"edit": lambda about: about["entries"][-1].update(bytes=-5)},
        "a size that cannot be .*no ba",
    ),
    "no list": ({"edit": lambda about: about.update(entries=7)}, "no backup"),
}


@pytest.mark.parametrize("kind", [*SPOILT, "another zip", "no zip", "half", "none"])
def test_a_damaged_or_hostile_backup_changes_nothing(
    course: Path, made: release.Released, tmp_path: Path, kind: str
) -> None:
    backup(course, tmp_path / "b.zip")
    spoilt = tmp_path / "spoilt.zip"
    if kind in SPOILT:
        changes, words = SPOILT[kind]
        rewritten(tmp_path / "b.zip", spoilt, **changes)
    elif kind == "another zip":
        words = "no backup that `course backup` wrote"
        with zipfile.ZipFile(spoilt, "w") as archive:
            archive.writestr("x", "x")
    elif kind == "none":
        words = "No such file"
    else:
        words = "damaged"
        spoilt.write_bytes((tmp_path / "b.zip").read_bytes()[:2000] if kind == "half" else b"grades" * 100)
    before = state(course, made)
    with pytest.raises(BackupError, match=words) as caught:
        restore(spoilt, course, force=True)
    assert "\n" not in str(caught.value)
    assert state(course, made) == before
    assert not (course / "before-restore-1").exists()


def test_a_rename_that_fails_in_the_middle_is_taken_back(
    course: Path, made: release.Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(course, tmp_path / "b.zip")
    with Book(course) as book, Gradebook(book.url) as stock:
        stock.find_grade("mean-hidden", NAME, NAME, KIM).manual_score = 5
        stock.db.commit()
    before, rename = state(course, made), os.rename

    def broken(source: Path, target: Path) -> None:
        if Path(target) == course / "feedback" or Path(target) == course / "submitted":
            raise OSError(16, "Device or resource busy", str(target))
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", broken)
        with pytest.raises(BackupError, match=r"course/submitted: Device or resource busy; nothing was changed"):
            restore(tmp_path / "b.zip", course, force=True)
    # The way back was blocked for that folder too, so it is done by the next restore.
    with pytest.raises(GradebookError, match="a restore was stopped in the middle: run `course restore` again"):
        export(course, made)
    with pytest.raises(BackupError, match="are not empty"):
        restore(tmp_path / "b.zip", course)
    assert state(course, made) == before


# The next rename, commit or look at the marker is once the last before a kill; a fork for each.
KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from sqlalchemy import event
from course_utils.grading import report, restore as restoring
from course_utils.grading.database import GradebookError
from course_utils.grading.gradebook import Book

file, db = Path(sys.argv[2]), sys.argv[3]
course = file.parent / "killed"
left = [10**6]

def step():
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

def look(name, words):
    if name == "os.rename" or "switching" in str(words):
        step()

sys.addaudithook(look)
real = restoring.open_engine

def watched(url):
    engine = real(url)
    event.listen(engine, "commit", lambda _: step())
    return engine

restoring.open_engine = watched

def state():
    with Book(course, db) as book:
        scores = {score.student: score.score for score in book.scores("01-sums")}
    return scores, sorted(path.name for path in (course / "submitted").iterdir())

seen, stopped, now = [], 0, None
for moment in range(1, 1000):
    if not seen or now != seen[0]:
        shutil.rmtree(course, ignore_errors=True)
        restoring.restore(Path(sys.argv[1]), course, db, force=True)
    child = os.fork()
    if not child:
        left[0] = moment
        restoring.restore(file, course, db, force=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    try:
        now = state()
    except GradebookError as error:
        assert "stopped in the middle" in str(error), error
        stopped += 1
        try:
            restoring.restore(file, course, db)
        except restoring.BackupError:
            pass
        now = state()
    seen += [now] if now not in seen else []
    if status == 0:
        break
    assert status == signal.SIGKILL, status
print(json.dumps([moment, stopped, seen]))
"""


def test_a_kill_at_any_step_leaves_the_old_state_or_the_new(
    course: Path, made: release.Released, tmp_path: Path, db: str
) -> None:
    backup(course, tmp_path / "new.zip")
    old = tmp_path / "old"
    old.mkdir()
    fill(old, "", made, ("lee",))
    backup(old, tmp_path / "old.zip")
    words = [sys.executable, "-W", "error", "-c", KILLED, tmp_path / "old.zip", tmp_path / "new.zip", db]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    moments, stopped, seen = json.loads(done.stdout)
    assert seen == [[{"lee": 72 + 1 / 3}, ["lee"]], [{"ann": 72 + 1 / 3, KIM: 70}, ["ann", KIM]]]
    assert moments - 2 > stopped > 10
