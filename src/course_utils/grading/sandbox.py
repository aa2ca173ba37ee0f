"""The sandbox from outside: the command that starts it, what the machine offers for it, and the watch over its use.

One ``bubblewrap`` holds the warm parent; each fork isolates itself further (:mod:`course_utils.grading.isolate`).
Nothing here falls back to less: what is missing is a :class:`SandboxError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import course_utils
from course_utils._errors import CourseError
from course_utils.grading.isolate import HOME, Limits

INSTALL = "sudo apt-get install bubblewrap"
WATCH_EVERY = 0.05  # seconds
MEMORY_MECHANISM = f"RLIMIT_AS per process; PSS of the whole tree every {1000 * WATCH_EVERY:.0f} ms, killed when over"
SERVANT = 64_321  # the user that root becomes: one that no account has
# A fork copies one entry for each page that its parent has written: a few thousand small ones take 20 ms, huge ones 1.
HUGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_SCRATCH_BYTES = 64 << 20  # what the warm parent may write; a submission sees none of it
_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
_PAGES = ("enabled", "hpage_pmd_size")  # what the C library reads before it asks for huge pages
_CONFIGURATION = (
    *("/etc/ld.so.cache", "/etc/fonts", "/etc/alternatives", "/etc/localtime"),
    *(f"/sys/kernel/mm/transparent_hugepage/{name}" for name in _PAGES),
)
_BECOME_SERVANT = (
    "import os, sys; n = int(sys.argv[1]); os.setgroups([]); os.setresgid(n, n, n); os.setresuid(n, n, n); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


class SandboxError(CourseError):
    """The sandbox cannot be had, or did not come up; one line that says why and what to do."""


def launcher() -> list[str]:
    """What stands before a Python command to run it in the sandbox; descriptors are passed through.

    Root first becomes a user without an account: as root it would own ``/proc/sys``, and no limit on processes would
    hold it. So the inner line is always that of an ordinary user.

    Raises:
        SandboxError: bubblewrap is not installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxError(f"grading needs bubblewrap, which is not installed: {INSTALL}")
    program = os.path.realpath(program)
    inner = [program, *_namespaces(), *_visible(), *_own(), *_environment()]
    return [*_as_servant(program), *inner] if os.getuid() == 0 else inner


def _namespaces() -> list[str]:
    # All of them; --unshare-all would let those go that the machine does not have.
    spaces = ("user", "pid", "net", "ipc", "uts", "cgroup")
    return [*(f"--unshare-{space}" for space in spaces), "--die-with-parent", "--new-session"]


def _visible() -> list[str]:
    """The system, the Python environment and the package, read-only; no other part of the machine."""
    options = ["--ro-bind", "/usr", "/usr"]
    for path in _SYSTEM:
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            options += ["--ro-bind", path, path]
    for path in filter(os.path.exists, _CONFIGURATION):
        options += _bind(path)
    scratch = ["--perms", "0755", "--size", str(_SCRATCH_BYTES), "--tmpfs"]
    options += [*scratch, "/tmp", *scratch, str(HOME)]  # before the rest, which may lie below them
    for directory in _python():
        options += _bind(directory)
    return options


def _bind(path: str) -> list[str]:
    """Bind a path read-only; its parents are made first, since bubblewrap would close some of them to others."""
    parents = [str(parent) for parent in reversed(Path(path).parents)][1:]
    return [*(part for parent in parents for part in ("--dir", parent)), "--ro-bind", path, path]


def _python() -> list[str]:
    """The folders that Python needs: the environment, the installation behind it, the package.

    An installation at the root of the machine is already there with ``/usr``.
    """
    package = str(Path(course_utils.__file__).resolve().parent)
    wanted = (sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix, package)
    return [path for path in dict.fromkeys(wanted) if path != "/usr" and not path.startswith("/usr/")]


def _own() -> list[str]:
    """What is made new: processes, a few devices, and the mount points of a submission's own."""
    fresh = ["--proc", "/proc", "--dev", "/dev", "--dir", "/run/submission"]
    return [*fresh, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


def _environment() -> list[str]:
    package = Path(course_utils.__file__).resolve().parent
    variables = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(HOME),
        "USER": "student",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(HOME / ".config/matplotlib"),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **HUGE_PAGES,
    }
    return ["--clearenv", *(part for pair in variables.items() for part in ("--setenv", *pair))]


def _as_servant(program: str) -> list[str]:
    """As root: the same sight of the machine, so that folders only root may enter are there, and then no root."""
    sight = _visible() if program.startswith("/usr/") else [*_visible(), *_bind(program)]
    need = ["--bind", "/proc", "/proc", "--dev", "/dev", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    become = [sys.executable, "-I", "-S", "-c", _BECOME_SERVANT, str(SERVANT)]
    return [program, "--die-with-parent", *sight, *need, *become]


# --- what the machine offers ---


@dataclass(frozen=True)
class Probe:
    """What this machine offers for grading; an empty ``problem`` means all that is required."""

    bubblewrap: str  # its version
    user: str
    namespaces: str
    network: str
    memory: str
    problem: str

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value or '-'}" for name, value in vars(self).items())


def probe() -> Probe:
    """Try the sandbox and one isolated fork in it (about 0.2 s), and say what was found."""
    user = f"root, becomes user {SERVANT}" if os.getuid() == 0 else f"user {os.getuid()}"
    version = namespaces = network = ""
    try:
        command = [*launcher(), sys.executable, "-m", "course_utils.grading.isolate"]
        version = _output([command[0], "--version"]).strip()
        found = json.loads(_output(command))
        problem = found.get("error", "") or _not_tight(found)
        if not problem:
            namespaces = "nested: user, pid, mount, ipc, net"
            network = "empty (lo alone, down)"
            problem = _cannot_watch()
    except SandboxError as error:
        problem = str(error)
    return Probe(version, user, namespaces, network, MEMORY_MECHANISM, problem)


def require(found: Probe) -> None:
    """Refuse a machine that does not offer what grading needs.

    Raises:
        SandboxError: what is missing, in one line.
    """
    if found.problem:
        raise SandboxError(found.problem)


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise SandboxError(
            "the sandbox does not start: it did not answer for a minute; is the machine busy?"
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        hint = "allow user namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
        raise SandboxError(f"the sandbox does not start: {last}; {hint}, or use a machine that does")
    return done.stdout


def _not_tight(found: dict[str, object]) -> str:
    if found["interfaces"] != ["lo"]:
        return f"a submission would see the network: {found['interfaces']}"
    return "" if found["processes"] == 2 else f"a submission would see {found['processes']} processes, not its own two"


def _cannot_watch() -> str:
    if not Path(f"/proc/self/task/{threading.get_native_id()}/children").exists():
        return "memory cannot be watched: this kernel has no /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN)"
    try:
        text = Path("/proc/self/smaps_rollup").read_text()
    except OSError:
        text = ""
    return "" if "Pss_Anon:" in text else "memory cannot be watched: needs /proc/PID/smaps_rollup (Linux 5.4 or newer)"


# --- the watch ---


class Watch(threading.Thread):
    """Looks at all processes of a submission every 50 ms and kills them together when they use too much.

    Args:
        init: a pidfd of process 1 of the submission's PID namespace, or of a process that has none of its own; the
            watch closes it.
        limits: what the submission may use.
    """

    def __init__(self, init: int, limits: Limits) -> None:
        super().__init__(name="watch", daemon=True)
        self.init, self.limits = init, limits
        self.reason = ""  # why it was killed, in words for the student
        self.cpu_seconds = 0.0
        self.memory_bytes = 0  # the most so far, beyond the first look
        self.first = -1
        self.started = time.monotonic()
        self.cell = (0.0, self.started)
        self.start()

    def begin(self) -> None:
        """A cell begins: what one cell may use is counted from here."""
        self.cell = (self.cpu_seconds, time.monotonic())

    def run(self) -> None:
        """Watch until the submission has ended."""
        over = select.poll()  # a pidfd is readable once its process has ended, and that of an init ends last
        over.register(self.init, select.POLLIN)
        try:
            while not over.poll(1000 * WATCH_EVERY):
                self.reason = self.reason or self._too_much()
                if self.reason:
                    self._kill()
        except BaseException:  # nothing may run unwatched
            self.reason = "the watch over it failed"
            self._kill()
            raise
        finally:
            os.close(self.init)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            signal.pidfd_send_signal(self.init, signal.SIGKILL)

    def _too_much(self) -> str:
        processes = list(_tree(_pid_of(self.init)))
        cpu, cell_began = self.cell
        self.cpu_seconds = max(self.cpu_seconds, sum(map(_cpu_seconds, processes)))  # some may be gone uncounted
        resident = sum(map(_resident, processes))
        self.first = resident if self.first < 0 else self.first
        self.memory_bytes = max(self.memory_bytes, resident - self.first)
        now, limits = time.monotonic(), self.limits
        for used, most, words in (
            (self.cpu_seconds, limits.cpu_seconds, "s of CPU time"),
            (self.cpu_seconds - cpu, limits.cell_cpu_seconds, "s of CPU time in one cell"),
            (now - self.started, limits.wall_seconds, "s by the clock"),
            (now - cell_began, limits.cell_wall_seconds, "s by the clock in one cell"),
        ):
            if used > most:
                return f"more than {most} {words}"
        # The resident size is quick to read and never less than the proportional one, which is slow.
        if resident > limits.memory_bytes and sum(map(_proportional, processes)) > limits.memory_bytes:
            return f"more than {limits.memory_bytes / 2**20:.0f} MiB of memory"
        return ""


def _pid_of(pidfd: int) -> int:
    """The number of a process over here; -1 once it has ended."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pid:")).split()[1])


def _tree(pid: int) -> Iterator[int]:
    """A process and all below it; whoever loses its parent comes under init, so none of a namespace is elsewhere."""
    waiting = [pid] if pid > 0 else []
    while waiting:
        pid = waiting.pop()
        yield pid
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for thread in threads:
            waiting += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())


def _read(path: str) -> str:
    """The text of a file of a process, empty when the process has ended; its name in it may be any bytes."""
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""


def _cpu_seconds(pid: int) -> float:
    """What a process and those that it has waited for have used."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()  # the name may hold anything
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    return _bytes(_read(f"/proc/{pid}/status"), "RssAnon:", "RssShmem:", "VmSwap:")


def _proportional(pid: int) -> int:
    """Anonymous and shared memory, each page divided by those who share it; files are the machine's cache."""
    return _bytes(_read(f"/proc/{pid}/smaps_rollup"), "Pss_Anon:", "Pss_Shmem:", "SwapPss:")


def _bytes(text: str, *names: str) -> int:
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(names))
