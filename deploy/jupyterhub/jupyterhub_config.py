"""JupyterHub for a class on one machine: students work in their homes, instructors in the course folder's formgrader.

`setup.sh` lays down what is named here. Everybody is a user of the machine and logs in with its password. Who is in
the group `attention-staff` gets the instructors' environment, with nbgrader and the sources of the assignments; who is
in `attention-students` gets the students', which has neither. What keeps the two apart are the rights of the folders,
not this file.
"""

from __future__ import annotations

import grp
from pathlib import Path
from typing import Any

HOME = Path("/srv/attention")
STAFF, STUDENTS = "attention-staff", "attention-students"
OURS, THEIRS = "course_utils.grading.formgrader", "nbgrader.server_extensions.formgrader"

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 - JupyterHub gives it to this file

# Only this machine can reach it: a web server in front of it has the certificate.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.cookie_secret_file = str(HOME / "hub" / "cookie_secret")
c.JupyterHub.db_url = f"sqlite:///{HOME / 'hub' / 'hub.sqlite'}"
c.ConfigurableHTTPProxy.pid_file = str(HOME / "hub" / "proxy.pid")

c.JupyterHub.authenticator_class = "pam"
c.LocalAuthenticator.allowed_groups = {STAFF, STUDENTS}
c.Authenticator.admin_users = set()  # nobody manages others' servers from a browser

c.Spawner.default_url = "/lab"
c.Spawner.environment = {"OMP_NUM_THREADS": "1"}  # many students share the cores


def is_staff(name: str) -> bool:
    """Whether a user belongs to the instructors' group of this machine."""
    return name in grp.getgrnam(STAFF).gr_mem


def environment_for(spawner: Any) -> None:
    """Choose whose environment a server is started in, just before it is."""
    staff = is_staff(spawner.user.name)
    spawner.cmd = [str(HOME / ("staff" if staff else "students") / ".venv" / "bin" / "jupyterhub-singleuser")]
    if staff:
        # As `course formgrader` does it: nbgrader's settings from nbgrader_config.py beside this file, and our page for
        # what students wrote.
        spawner.environment = {
            **spawner.environment,
            "JUPYTER_CONFIG_PATH": str(HOME / "staff" / "deploy" / "jupyterhub"),
        }
        spawner.notebook_dir = str(HOME / "course")
        spawner.default_url = "/formgrader"
        spawner.args = [f"--ServerApp.jpserver_extensions={ {THEIRS: False, OURS: True} }"]


c.Spawner.pre_spawn_hook = environment_for
