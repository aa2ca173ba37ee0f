"""JupyterHub's files: linted, and what they decide tried without a hub, users or root."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import ROOT
from traitlets.config import Config

HUB = ROOT / "deploy" / "jupyterhub"
NAME = "02-soft-dictionary"


@pytest.mark.parametrize("script", sorted(HUB.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_have_no_known_fault(script: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert os.access(script, os.X_OK)


def settings(name: str, **given: Any) -> tuple[Config, dict[str, Any]]:
    """Run a file of settings as JupyterHub and nbgrader do."""
    made = Config()
    names = {"get_config": lambda: made, **given}
    exec(compile((HUB / name).read_text(encoding="utf-8"), name, "exec"), names)
    return made, names


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Config:
    made, names = settings("jupyterhub_config.py")
    groups = {"attention-staff": SimpleNamespace(gr_mem=["ann"])}
    monkeypatch.setattr(names["grp"], "getgrnam", groups.__getitem__)
    return made


def started(hub: Config, user: str) -> Any:
    spawner = SimpleNamespace(
        user=SimpleNamespace(name=user), environment=dict(hub.Spawner.environment), args=[], notebook_dir=""
    )
    hub.Spawner.pre_spawn_hook(spawner)
    return spawner


def test_staff_get_the_formgrader_and_students_do_not(hub: Config) -> None:
    ann, ben = started(hub, "ann"), started(hub, "ben")
    assert ann.cmd == ["/srv/attention/staff/.venv/bin/jupyterhub-singleuser"]
    assert (ann.default_url, ann.notebook_dir) == ("/formgrader", "/srv/attention/course")
    (extensions,) = ann.args
    assert "'course_utils.grading.formgrader': True" in extensions
    assert "'nbgrader.server_extensions.formgrader': False" in extensions
    assert ben.cmd == ["/srv/attention/students/.venv/bin/jupyterhub-singleuser"]
    assert (ben.args, ben.notebook_dir, hub.Spawner.default_url) == ([], "", "/lab")
    assert "staff" not in str(vars(ben))


def test_only_the_class_may_log_in_and_nobody_administers(hub: Config) -> None:
    assert hub.LocalAuthenticator.allowed_groups == {"attention-staff", "attention-students"}
    assert hub.Authenticator.admin_users == set()
    assert hub.JupyterHub.bind_url.startswith("http://127.0.0.1:")
    assert "allow_all" not in hub.Authenticator


def test_nbgrader_is_told_the_course_folder_that_the_hub_opens(hub: Config) -> None:
    loaded: list[str] = []
    nbgrader, _ = settings("nbgrader_config.py", load_subconfig=loaded.append)
    assert nbgrader.CourseDirectory.root == started(hub, "ann").notebook_dir
    assert loaded == ["/srv/attention/staff/nbgrader_config.py"]


def test_the_service_starts_what_the_script_installs() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(HUB / "jupyterhub.service")
    setup = (HUB / "setup.sh").read_text(encoding="utf-8")
    assert re.search(r"^home=(\S+)$", setup, re.MULTILINE)[1] == "/srv/attention"
    program, _, config = unit["Service"]["ExecStart"].split()
    assert program == "/srv/attention/hub/.venv/bin/jupyterhub"
    assert config == "/srv/attention/hub/jupyterhub_config.py"
    assert 'environment "$home/hub"' in setup
    assert '"$home/hub/jupyterhub_config.py"' in setup


# --- collecting -------------------------------------------------------------------------------------------------------

GETENT = """#!/bin/sh
case $1 in
group) echo "attention-students:x:1:ann,ben,,cem,dan" ;;
passwd) echo "$2:x:1:1::{homes}/$2:/bin/sh" ;;
esac
"""
# As the real one, but for the rights: it says whose it would take.
RUNUSER = """#!/bin/sh
[ "$1" = -u ] || exit 1
echo "$2" >>"{log}"
[ "$2 $4" = "ann head" ] && [ -L "$8" ] && exit 1 # she may not read what she links to
shift 3
exec "$@"
"""


@pytest.fixture
def collect(tmp_path: Path) -> Any:
    """Runs the script with a class of four: returns its status, output and errors."""
    programs, homes = tmp_path / "bin", tmp_path / "homes"
    programs.mkdir()
    for name, text in (("getent", GETENT), ("runuser", RUNUSER)):
        (programs / name).write_text(text.format(homes=homes, log=tmp_path / "log"), encoding="utf-8")
        (programs / name).chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "SUBMITTED": str(tmp_path / "submitted"),
    }

    def run(name: str = NAME) -> subprocess.CompletedProcess[str]:
        command = [str(HUB / "collect.sh"), name]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    return run


def written(tmp_path: Path, student: str, text: str) -> Path:
    path = tmp_path / "homes" / student / "exercises" / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_record_of_measurements_comes_with_its_notebook(tmp_path: Path, collect: Any) -> None:
    for student in ("ann", "cem"):
        written(tmp_path, student, "{}").with_name("measurements.json").write_text(student, encoding="utf-8")
    written(tmp_path, "cem", "{}").unlink()
    written(tmp_path, "ann", "{}").with_name("secret.json").write_text("mine", encoding="utf-8")
    assert collect().stdout == "ann\n"
    copy = tmp_path / "submitted" / "ann" / NAME
    assert sorted(path.name for path in copy.iterdir()) == [f"{NAME}.ipynb", "measurements.json", "timestamp.txt"]
    assert (copy / "measurements.json").read_text(encoding="utf-8") == "ann"
    assert collect().stdout == ""
    written(tmp_path, "ann", "{}").with_name("measurements.json").write_text("again", encoding="utf-8")
    assert collect().stdout == "ann\n"
    assert (copy / "measurements.json").read_text(encoding="utf-8") == "again"


def test_what_students_have_is_collected_with_their_own_rights(tmp_path: Path, collect: Any) -> None:
    for student in ("ann", "cem"):
        written(tmp_path, student, f"{{}} {student}")
    done = collect()
    assert (done.returncode, done.stdout, done.stderr) == (0, "ann\ncem\n", "")
    copy = tmp_path / "submitted" / "cem" / NAME
    assert (copy / f"{NAME}.ipynb").read_text(encoding="utf-8") == "{} cem"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n", (copy / "timestamp.txt").read_text(encoding="utf-8"))
    assert sorted(path.name for path in copy.iterdir()) == [f"{NAME}.ipynb", "timestamp.txt"]
    assert set((tmp_path / "log").read_text(encoding="utf-8").split()) == {"ann", "ben", "cem", "dan"}
    assert not (tmp_path / "submitted" / "ben").exists()


def test_only_what_changed_is_collected_again(tmp_path: Path, collect: Any) -> None:
    for student in ("ann", "cem"):
        written(tmp_path, student, "{}")
    collect()
    stamp = tmp_path / "submitted" / "ann" / NAME / "timestamp.txt"
    stamp.write_text("kept", encoding="utf-8")
    written(tmp_path, "cem", "{} again")
    assert collect().stdout == "cem\n"
    assert stamp.read_text(encoding="utf-8") == "kept"


def test_what_a_student_may_not_read_is_not_collected_and_stops_nobody(tmp_path: Path, collect: Any) -> None:
    (tmp_path / "grades").write_text("all of them", encoding="utf-8")
    for student, put in (("ann", lambda path: path.symlink_to(tmp_path / "grades")), ("ben", os.mkfifo)):
        path = written(tmp_path, student, "")
        path.unlink()
        put(path)
    written(tmp_path, "dan", "{}")
    done = collect()
    assert (done.returncode, done.stdout) == (0, "dan\n")
    assert re.fullmatch(r"collect: \S+/ann/\S+ could not be read\n", done.stderr)
    assert list((tmp_path / "submitted" / "ann" / NAME).iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc", "a/b", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(collect: Any, name: str) -> None:
    done = collect(name)
    assert (done.returncode, done.stderr) == (2, f"collect: {name} is no assignment's name\n")
