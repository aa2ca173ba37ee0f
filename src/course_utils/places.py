"""Where a student's notebooks are, as far as can be found from where a command was typed."""

from __future__ import annotations

from pathlib import Path


def found(folder: Path) -> list[Path]:
    """The notebooks in a folder and in the folders in it, in the order of their names; no checkpoints."""
    paths = [*folder.glob("*.ipynb"), *folder.glob("*/*.ipynb")]
    visible = (path for path in paths if not any(p.startswith(".") for p in path.relative_to(folder).parts))
    return sorted(path for path in visible if path.is_file())


def folder_of(here: Path) -> Path:
    """The folder to look through: the nearest ``exercises/`` upwards that has notebooks in it, else ``here``."""
    for folder in (here, *here.parents):
        for candidate in (folder / "exercises", folder):
            if candidate.name == "exercises" and found(candidate):
                return candidate
    return here


def located(path: Path, here: Path) -> Path:
    """The notebook that is meant by a path, or by an assignment's name from wherever in the course's folder.

    Args:
        path: as it was typed: a notebook, with or without its ending, or the folder that it is in.
        here: where it was typed.

    Returns:
        The notebook; the path itself where there is none, or where it cannot be said which.
    """
    if path.is_file():
        return path
    name = f"{path.name.removesuffix('.ipynb')}.ipynb"
    if path.is_dir():
        return path / name if (path / name).is_file() else path
    if path.parent != Path():
        return path
    same = [notebook for notebook in found(folder_of(here)) if notebook.name == name]
    if len(same) != 1:
        return path
    return same[0].relative_to(here) if same[0].is_relative_to(here) else same[0]
