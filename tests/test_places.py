"""Which notebook a student means, and where the others are."""

from __future__ import annotations

from pathlib import Path

import pytest

from course_utils.places import folder_of, found, located

BOOK = "exercises/02-a/02-a.ipynb"


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The course's folder, in which a command is typed."""
    for path in (BOOK, "exercises/03-b/03-b.ipynb", "exercises/.ipynb_checkpoints/02-a.ipynb", "notes/x.ipynb"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "exercises/folder.ipynb").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_notebooks_are_found_and_checkpoints_are_not(top: Path) -> None:
    assert found(top / "exercises") == [top / BOOK, top / "exercises/03-b/03-b.ipynb"]
    assert found(top / "exercises/02-a") == [top / BOOK]


def test_the_folder_is_the_nearest_one_called_exercises(top: Path) -> None:
    exercises = top / "exercises"
    for here in (top, exercises, exercises / "02-a", top / "notes"):
        assert folder_of(here) == exercises
    (top / "notes/exercises").mkdir()  # that one is empty
    assert folder_of(top / "notes") == exercises
    exercises.rename(top / "work")
    assert folder_of(top / "work") == top / "work"


@pytest.mark.parametrize("typed", [BOOK, "exercises/02-a", "02-a", "02-a.ipynb"])
def test_a_notebook_is_named_in_any_way(top: Path, typed: str) -> None:
    assert located(Path(typed), top).resolve() == top / BOOK


@pytest.mark.parametrize("typed", ["02-b", "else/02-a.ipynb", "notes", "x.ipynb", "folder"])
def test_what_is_not_there_stays_as_it_was_typed(top: Path, typed: str) -> None:
    assert located(Path(typed), top) == Path(typed)


def test_of_two_with_one_name_neither_is_chosen(top: Path) -> None:
    (top / "exercises/02-a.ipynb").touch()
    assert located(Path("02-a"), top) == Path("02-a")
