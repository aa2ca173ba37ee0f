#!/bin/sh
# Makes a machine with Debian 12, kept for this class alone, a JupyterHub with nbgrader. Run as root, again at will:
#
#     deploy/jupyterhub/setup.sh WHEEL
#
# WHEEL is the package that students get, from `course bundle`. Instructors and students are added by hand afterwards:
#
#     adduser ann && adduser ann attention-staff
#     adduser ben && adduser ben attention-students
set -eu
wheel=${1:?usage: setup.sh WHEEL}
wheel=$(realpath "$wheel")
repository=$(realpath "$(dirname "$0")/../..")
home=/srv/attention

# bubblewrap: instructors grade in it, as themselves, in namespaces that Debian lets every user make.
apt-get update -qq
apt-get install -y -qq --no-install-recommends acl bubblewrap git nodejs npm python3-venv
npm install --global --silent configurable-http-proxy@5
[ "$(sysctl -n kernel.unprivileged_userns_clone 2>/dev/null || echo 1)" = 1 ] ||
    echo "setup: course grade will refuse: sysctl kernel.unprivileged_userns_clone=1 lets it make its sandbox" >&2

for group in attention-staff attention-students; do
    getent group "$group" >/dev/null || addgroup --system "$group"
done

# Who may enter: the hub root alone, students' environment everybody, the rest staff. 2770: what one of the staff
# writes, the others may change.
install -d -m 755 "$home" "$home/students"
install -d -m 700 "$home/hub"
install -d -m 2770 -g attention-staff "$home/course" "$home/course/submitted"
setfacl -R -m g:attention-staff:rwX -m d:g:attention-staff:rwX "$home/course"

[ -d "$home/staff" ] || git clone --quiet "$repository" "$home/staff"
chgrp -R attention-staff "$home/staff"
chmod -R g+rX,g-w,o= "$home/staff"

environment() { # FOLDER CONSTRAINTS PACKAGE...: a virtual environment with JupyterHub's part for a user's server
    folder=$1 constraints=$2
    shift 2
    [ -x "$folder/.venv/bin/python" ] || python3 -m venv "$folder/.venv"
    "$folder/.venv/bin/python" -m pip install --quiet -c "$constraints" "$@" "jupyterhub>=5.2,<7"
}
environment "$home/students" "$repository/requirements.lock" "$wheel"
environment "$home/staff" "$repository/requirements.lock" -e "$home/staff[grade]"
environment "$home/hub" "$repository/requirements.lock"
chgrp -R attention-staff "$home/staff/.venv"
install -d -m 2770 -g attention-staff "$home/staff/_build" # nbgrader's sources are written there
setfacl -R -m g:attention-staff:rwX -m d:g:attention-staff:rwX "$home/staff/_build"

install -m 644 "$repository/deploy/jupyterhub/jupyterhub_config.py" "$home/hub/jupyterhub_config.py"
install -m 755 "$repository/deploy/jupyterhub/collect.sh" /usr/local/sbin/attention-collect
install -m 644 "$repository/deploy/jupyterhub/jupyterhub.service" /etc/systemd/system/jupyterhub.service
systemctl daemon-reload
systemctl enable --now jupyterhub
echo "JupyterHub listens on 127.0.0.1:8000: put a web server with a certificate in front of it"
