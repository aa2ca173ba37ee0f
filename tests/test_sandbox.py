"""Hostile code, really run in the sandbox; its effects are looked for from outside."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from course_utils.grading import sandbox
from course_utils.grading.frames import GoneError, WireError
from course_utils.grading.isolate import Limits
from course_utils.grading.sandbox import SandboxError, _tree
from course_utils.grading.split import Student
from course_utils.grading.warm import Warm

REPOSITORY = Path(__file__).resolve().parents[1]
SECRET = "COURSE_TEST_SECRET"
LIMITS = Limits(cpu_seconds=2, memory_bytes=300 << 20, processes=24, open_files=64, file_bytes=8 << 20)
BUDGET = 30.0  # wall seconds in which any hostile submission must be over


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    os.environ[SECRET] = "hush"
    with Warm(sandbox.launcher()) as parent:
        yield parent
    del os.environ[SECRET]


class Submission(Student):
    """A student's process that knows why it was ended."""

    def __init__(self, connection: socket.socket, wait: float, reason: Callable[[], str]) -> None:
        super().__init__(connection, wait)
        self.reason = reason

    def run(self, source: str) -> list[NotebookNode]:
        try:
            return super().run(source)
        except (GoneError, WireError):
            return []

    def is_lost_by(self, source: str) -> bool:
        self.run(source)
        try:
            self.name("anything")
        except GoneError:
            return True
        except NameError:
            return False


@contextmanager
def submission(warm: Warm, limits: Limits = LIMITS, wait: float = BUDGET) -> Iterator[Submission]:
    """A process for one submission; at the end all of it must be gone, and the next must work."""
    connection, pid = warm.fork(limits)
    with connection:
        watch = warm.watches[pid]
        student = Submission(connection, wait, lambda: watch.reason)
        init = os.dup(watch.init)
        try:
            yield student
        finally:
            warm.end(pid)
            gone = bool(select.select([init], [], [], 5)[0])
            os.close(init)
    assert gone
    assert not watch.is_alive()


def found(student: Student, expression: str, setup: str = "") -> Any:
    """What an expression is over there, or the name of the exception that it raises."""
    attempt = f"try:\n    answer = {expression}\nexcept BaseException as error:\n    answer = type(error).__name__"
    source = f"{setup}\n{attempt}"
    student.run(source)
    return student.name("answer")


def until(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def pids(warm: Warm) -> set[int]:
    return set(_tree(warm.process.pid))


# --- an honest submission ---


def test_honest_work_is_done(warm: Warm) -> None:
    source = """
import pathlib, subprocess, tempfile, threading, numpy, torch, multiprocessing
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.savefig("figure.png")
parts = []
workers = [threading.Thread(target=parts.append, args=(n,)) for n in range(4)]
[worker.start() for worker in workers]; [worker.join() for worker in workers]
with tempfile.NamedTemporaryFile("w+") as file:
    file.write("held"); file.seek(0); text = file.read()
with multiprocessing.get_context("fork").Pool(2) as pool:
    squares = pool.map(abs, [-1, -2])
w = torch.ones(3, requires_grad=True); (w @ w).backward()
answer = [pathlib.Path("figure.png").stat().st_size > 1000, sorted(parts), text, squares,
          subprocess.run(["true"]).returncode, w.grad.tolist(), float(numpy.ones(3).sum()), str(pathlib.Path.cwd())]
"""
    with submission(warm) as student:
        reply, _ = student.peer.ask("run", {"source": source})
        assert reply["stopped"] is None, reply
        assert student.name("answer") == [
            *(True, [0, 1, 2, 3], "held", [1, 2], 0, [2.0, 2.0, 2.0], 3.0, "/home/student"),
        ]


# --- reading what is hidden ---


def test_nothing_of_the_course_or_the_machine_is_in_sight(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "hidden").write_text("x")
    hidden = [REPOSITORY / name for name in ("solutions", "tests", "book", "exercises", "pyproject.toml", ".git")]
    hidden += [tmp_path / "hidden", Path("/etc/passwd"), Path("/etc/shadow"), Path("/var")]
    hidden += [Path("/sys") / name for name in ("block", "bus", "class", "devices", "fs", "kernel/security")]
    with submission(warm) as student:
        assert found(student, f"[p for p in {list(map(str, hidden))} if os.path.lexists(p)]", "import os") == []
        # Only the folders that lead to Python and to the package, wherever this checkout and its environment lie.
        allowed = {part for path in sandbox._python() for part in Path(path).parts}
        for place in ("/root", "/tmp", "/home", str(REPOSITORY)):
            listed = found(student, f"os.listdir({place!r}) if os.path.exists({place!r}) else []", "import os")
            assert set(listed) <= allowed | {"student"}, place
        assert found(student, "os.listdir('/dev/shm')", "import os") == []


def test_the_environment_holds_no_secret(warm: Warm) -> None:
    look = """
import glob, os
def everything():
    texts = [open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/environ") if os.access(path, os.R_OK)]
    return any(b"hush" in text for text in texts) or "hush" in str(os.environ)
"""
    with submission(warm) as student:
        assert found(student, "everything()", look) is False


def test_the_system_is_read_only(warm: Warm) -> None:
    places = [*sandbox._python(), "/", "/usr", "/etc", "/dev", "/run", "/proc/sys/kernel", "/root"]
    attempt = """
import os
def written(places):
    done = []
    for place in places:
        try:
            open(place + "/written", "w").close(); done.append(place)
        except OSError:
            pass
    return done
"""
    with submission(warm) as student:
        assert found(student, f"written({places})", attempt) == []
        assert found(student, "open('/proc/sys/kernel/core_pattern', 'w')") in {"OSError", "PermissionError"}
        assert found(student, "open('/proc/self/oom_score_adj', 'w')") == "OSError"


# --- reaching out ---


def test_no_connection_leaves(warm: Warm) -> None:
    listening, abstract = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    name = f"\0course-{os.getpid()}"
    abstract.bind(name)
    abstract.listen()
    with listening, abstract, submission(warm) as student:
        setup = "import socket"
        address = listening.getsockname()
        assert found(student, f"socket.create_connection({address}, 2)", setup) == "OSError"
        assert found(student, "socket.create_connection(('1.1.1.1', 53), 2)", setup) == "OSError"
        assert found(student, f"socket.socket(socket.AF_UNIX).connect({name!r})", setup) == "ConnectionRefusedError"
        assert found(student, "socket.socket(socket.AF_VSOCK)", setup) == "PermissionError"
        assert found(student, "socket.socket(socket.AF_NETLINK)", setup) == "PermissionError"


def test_only_its_own_socket_is_open(warm: Warm) -> None:
    look = """
import os
def links():
    paths = [f"/proc/self/fd/{n}" for n in range(64)]
    return [os.readlink(path) for path in paths if os.path.lexists(path)]
"""
    with submission(warm) as student:
        links = found(student, "links()", look)
        assert links[:3] == ["/dev/null"] * 3
        assert len(links) == 4
        assert links[3].startswith("socket:")


def test_no_other_process_is_seen_or_signalled(warm: Warm) -> None:
    others = pids(warm)
    assert others
    kill_all = """
import os
def shoot():
    for n in range(3, 40_000):
        try:
            os.kill(n, 9)
            return n
        except ProcessLookupError:
            pass
"""
    with submission(warm) as one, submission(warm) as other:
        other.run("kept = 1")
        assert found(one, "sorted(n for n in os.listdir('/proc') if n.isdigit())", "import os") == ["1", "2"]
        assert found(one, "shoot()", kill_all) is None
        assert found(one, "os.kill(1, 9)", "import os") is None  # its own init, which the kernel protects
        assert other.name("kept") == 1
    assert others <= pids(warm)


def test_no_capability_comes_back(warm: Warm) -> None:
    setup = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(name, *arguments):
    return getattr(libc, name)(*arguments) == -1
"""
    with submission(warm) as student:
        assert found(student, "refused('unshare', 0x10000000)", setup) is True
        assert found(student, "refused('mount', b'tmpfs', b'/tmp', b'tmpfs', 0, None)", setup) is True
        assert found(student, "refused('sethostname', b'x', 1)", setup) is True
        assert found(student, "os.setuid(0)", setup) in {"OSError", "PermissionError"}
        assert found(student, "os.memfd_create('x')", setup) == "PermissionError"
        status = found(student, "open('/proc/self/status').read()")
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status


def test_files_are_not_seen_by_another(warm: Warm) -> None:
    leave = """
import pathlib
for place in ("/tmp", "/dev/shm", ".", "/run/submission"):
    pathlib.Path(place, "left").write_text("x")
"""
    look = "[p for p in ('/tmp/left', '/dev/shm/left', 'left', '/run/submission/left') if os.path.exists(p)]"
    with submission(warm) as one:
        one.run(leave)
        assert len(found(one, look, "import os")) == 4
        with submission(warm) as at_once:
            assert found(at_once, look, "import os") == []
    with submission(warm) as after:
        assert found(after, look, "import os") == []


# --- eating ---

FORK = "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: pass"
HOG = "import torch\nkept = []\nwhile True: kept.append(torch.ones(1 << 22))"
MANY_HOGS = """
import os, time, numpy
for _ in range(8):
    if os.fork() == 0:
        kept = numpy.ones(15 << 20); time.sleep(1000)
time.sleep(1000)
"""
DAEMONS = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
"""


def test_a_cpu_loop_ends(warm: Warm) -> None:
    with submission(warm) as student:
        assert student.is_lost_by("while True: pass")


def test_cpu_time_of_many_processes_is_summed(warm: Warm) -> None:
    with submission(warm) as student:
        assert student.is_lost_by("import os\nfor _ in range(3): os.fork()\nwhile True: pass")
        assert "CPU time" in student.reason()


def test_a_fork_bomb_ends(warm: Warm) -> None:
    with submission(warm) as student:
        assert student.is_lost_by(FORK)
    with submission(warm) as student:
        assert found(student, "1 + 1") == 2


def test_the_number_of_processes_is_bounded(warm: Warm) -> None:
    count = """
import os, time
def forks():
    n = 0
    while n < 200:
        try:
            if os.fork() == 0: time.sleep(1000)
        except OSError: return n
        n += 1
    return n
"""
    with submission(warm) as student:
        assert 1 <= found(student, "forks()", count) < LIMITS.processes


def test_memory_of_one_process_is_bounded(warm: Warm) -> None:
    with submission(warm) as student:
        try:
            reply, _ = student.peer.ask("run", {"source": HOG})
            assert "memory" in reply["stopped"][1].lower()  # torch says it in words
        except GoneError:
            assert "memory" in student.reason()


def test_memory_of_many_processes_is_summed(warm: Warm) -> None:
    with submission(warm) as student:
        assert student.is_lost_by(MANY_HOGS)
        assert "MiB of memory" in student.reason()


def test_the_disk_and_its_files_are_bounded(warm: Warm) -> None:
    fill = """
import os
def fill(name, size=1 << 20):
    total = 0
    try:
        with open(name, "wb", buffering=0) as file:
            while True: total += file.write(bytes(size))
    except OSError: return total
def folders():
    return sum(fill(f"/{place}/{n}") for n in range(100) for place in ("tmp", "dev/shm", "home/student"))
"""
    with submission(warm, Limits(file_bytes=8 << 20, disk_bytes=40 << 20, cpu_seconds=20)) as student:
        assert found(student, "fill('one')", fill) == 8 << 20
        assert found(student, "folders()") <= 40 << 20


def test_descriptors_are_bounded(warm: Warm) -> None:
    with submission(warm) as student:
        assert found(student, "[open('/dev/null') for _ in range(1000)]") == "OSError"


def test_sleeping_for_ever_ends_with_the_wait(warm: Warm) -> None:
    with submission(warm, wait=0.5) as student:
        assert student.is_lost_by("import time\ntime.sleep(10_000)")


def test_daemons_go_with_the_submission(warm: Warm) -> None:
    before = pids(warm)
    with submission(warm) as student:
        student.run(DAEMONS)
        assert until(lambda: len(pids(warm) - before) >= 7)  # outer, init, student and four daemons
        running = pids(warm) - before
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)


# --- leaving ---


@pytest.mark.parametrize(
    "source",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os; os._exit(0)",
        "import os, signal; os.kill(os.getppid(), signal.SIGKILL); os._exit(3)",
        "import os, signal\nif os.fork() == 0: signal.pause()\nos.kill(-1, signal.SIGKILL); os.abort()",
        "import os; os.closerange(0, 64)",
        "import os; os.abort()",
        "import ctypes; ctypes.string_at(0)",
    ],
)
def test_leaving_harms_nothing(warm: Warm, source: str) -> None:
    with submission(warm) as student:
        assert student.is_lost_by(source)
    with submission(warm) as student:
        assert found(student, "1 + 1") == 2


def test_an_odd_process_name_does_not_end_the_watch(warm: Warm) -> None:
    source = """
import ctypes, os, time
ctypes.CDLL(None).prctl(15, b"\\xff", 0, 0, 0)
for part in range(6):
    if os.fork() == 0:
        break
kept = bytes(range(256)) * (80 << 12)
time.sleep(60)
"""
    with submission(warm) as student:
        assert student.is_lost_by(source)
        assert "MiB of memory" in student.reason()


def test_the_status_tells_how_it_ended(warm: Warm) -> None:
    connection, pid = warm.fork(LIMITS)
    with connection, pytest.raises(GoneError):
        Student(connection, BUDGET).run("import os; os._exit(7)")
    watch = warm.watches[pid]
    assert until(lambda: not watch.is_alive())
    assert warm.end(pid)[0] == 7


def test_all_ends_with_the_trusted_side() -> None:
    with Warm(sandbox.launcher()) as parent:
        connection, _ = parent.fork(LIMITS)
        with connection:
            Student(connection).run("x = 1")
            running = pids(parent)
            assert len(running) >= 5
    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in running))


# --- what the machine offers ---


def test_the_probe_says_what_is_in_force() -> None:
    offered = sandbox.probe()
    sandbox.require(offered)
    assert len(str(offered).splitlines()) == 6
    assert "PSS of the whole tree" in str(offered)


def test_without_bubblewrap_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxError, match="sudo apt-get install bubblewrap"):
        sandbox.require(sandbox.probe())
    with pytest.raises(SandboxError, match="sudo apt-get install bubblewrap"):
        sandbox.launcher()


def test_a_bubblewrap_that_fails_is_no_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\n[ $1 = --version ] && exit 0\necho 'bwrap: no permission' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxError, match="bwrap: no permission"):
        sandbox.require(sandbox.probe())


@pytest.mark.parametrize("bad", [{"cpu_seconds": 0}, {"memory_bytes": 1.5}, {"processes": True}])
def test_limits_are_whole_positive_numbers(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Limits(**bad)
