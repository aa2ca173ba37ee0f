"""What a fork of the warm parent does to itself before it serves a submission.

Two processes come of one fork::

    warm parent ── init: process 1 of new namespaces; mounts, reaps, and takes all with it when it ends
                     └─ the student's process: limits, no capabilities, a filter on system calls

Whatever fails here ends the process: nothing is served half isolated.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import signal
import socket
import struct
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

HOME = Path("/home/student")
SCRATCH = Path("/run/submission")  # an empty folder of the sandbox
SUBMISSION, REPORT = 3, 4  # the only descriptors beyond the standard three, by the number that they get

_libc = ctypes.CDLL(None, use_errno=True)
_libc_with_lock = ctypes.PyDLL(None, use_errno=True)  # keeps Python's lock, for what must not be interrupted
_NEW_MOUNT, _NEW_IPC, _NEW_USER, _NEW_PID, _NEW_NET = 0x20000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC, _REMOUNT, _BIND, _RECURSIVE = 1, 2, 4, 8, 32, 4096, 16384
_PARENT_DEATH, _DUMPABLE, _SECCOMP, _DROP_BOUND, _NO_NEW_PRIVILEGES = 1, 4, 22, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Limits:
    """What one submission may use: the student's processes together, and the referee that judges them.

    CPU time decides; the wall clock only guards against code that waits for ever.
    """

    cpu_seconds: int = 120  # in all; of the student's processes, over all starts
    cell_cpu_seconds: int = 30  # of one cell, the student's or a test
    wall_seconds: int = 600
    cell_wall_seconds: int = 120
    starts: int = 10  # of the student's process, the first included
    memory_bytes: int = 2 << 30  # of what it shares with the warm parent, its share counts
    processes: int = 64  # threads count
    open_files: int = 256  # of each process
    file_bytes: int = 64 << 20  # of each file
    disk_bytes: int = 256 << 20  # working folder, /tmp and /dev/shm together

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if type(value) is not int or value < 1:
                raise ValueError(f"Limits: {name} must be a whole number of at least 1, got {value!r}")


def fork_isolated(descriptor: int, report: int, limits: Limits, serve: Callable[[int], None]) -> int:
    """Fork into namespaces of its own an init, which starts the student's process, isolated, behind it.

    Args:
        descriptor: the submission's socket; every other descriptor is closed there.
        report: a pipe that is told ``ready``, or ``error`` and what failed.
        limits: what the submission may use.
        serve: what the student's process does, given the socket.

    Returns:
        The number of init, with which all that is below it ends. Its exit status is the student's; above 128, the
        signal that ended it.
    """
    user, group = os.getuid(), os.getgid()
    pid = _clone(_NEW_USER | _NEW_MOUNT | _NEW_IPC | _NEW_PID | _NEW_NET)
    if pid == 0:
        try:
            _keep_only(descriptor, report)
            _map_user(user, group)
            _be_init(limits, serve)
        except BaseException as error:
            _fail(error)
    return pid


def _clone(namespaces: int) -> int:
    """``os.fork`` into new namespaces: as two steps, unshare and fork, it would take a process more."""
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = _libc_with_lock.syscall(_CLONE_CALL[_column()], namespaces | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"clone: {os.strerror(number)}")
    return pid


def confine(descriptor: int, limits: Limits, serve: Callable[[int], None]) -> NoReturn:
    """Serve with limits but in the warm parent's namespaces: the referee, and all that is run without a sandbox."""
    status = 1
    try:
        workplace(os.getpid()).mkdir()
        os.chdir(workplace(os.getpid()))
        _set_limits(limits)
        serve(descriptor)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def workplace(pid: int) -> Path:
    """The working folder of a confined process; who ends the process removes it."""
    return Path(tempfile.gettempdir(), f"submission-{pid}")


def _be_init(limits: Limits, serve: Callable[[int], None]) -> NoReturn:
    """Be process 1: lay out what is seen, start the student's process, reap, and end when it ends."""
    try:
        _call("prctl", _PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
        _lay_out(limits)
        _drop_privileges()
        _call("prctl", _DUMPABLE, 0, 0, 0, 0)  # not to be traced by the student
        student = os.fork()
    except BaseException as error:
        _fail(error)
    if student == 0:
        _be_student(limits, serve)
    os.closerange(0, REPORT + 1)
    while True:
        pid, status = os.wait()
        if pid == student:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _be_student(limits: Limits, serve: Callable[[int], None]) -> NoReturn:
    status = 1
    try:
        try:
            _call("prctl", _DUMPABLE, 1, 0, 0, 0)
            os.setsid()
            os.chdir(HOME)
            _set_limits(limits, (resource.RLIMIT_NPROC, limits.processes))
            _filter_calls()
        except BaseException as error:
            _fail(error)
        os.write(REPORT, b"ready\n")
        os.close(REPORT)
        serve(SUBMISSION)
        status = 0
    finally:
        os._exit(status)


def _fail(error: BaseException) -> NoReturn:
    line = f"{type(error).__name__}: {error}".replace("\n", " ")
    os.write(REPORT, f"error {line[:500]}\n".encode())
    os._exit(1)


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library.

    Raises:
        OSError: it failed; the text names the function and its first arguments.
    """
    wide = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    if getattr(_libc, name)(*wide) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments[:2]}: {os.strerror(number)}")


# --- what is in reach ---


def _keep_only(descriptor: int, report: int) -> None:
    """Put the two descriptors at their places and close all others, the control socket above all."""
    high = [os.dup(descriptor), os.dup(report)]
    high = [_above(number) for number in high]
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1, 2):
        os.dup2(null, target)
    os.dup2(high[0], SUBMISSION, inheritable=False)  # what the student starts does not get the connection
    os.dup2(high[1], REPORT, inheritable=False)
    os.closerange(REPORT + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def _above(number: int) -> int:
    """The same open file under a number that the standard places cannot collide with."""
    while number <= REPORT:
        number = os.dup(number)
    return number


def _map_user(user: int, group: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _lay_out(limits: Limits) -> None:
    """Mount what this submission alone has: its processes, its terminals, and one bounded memory disk."""
    _mount("proc", "/proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")  # a new one would bring back capabilities
    Path("/proc/self/oom_score_adj").write_text("1000")  # when the machine runs short, this goes first
    _mount("", "/proc", "", _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES | _NO_EXEC)
    _mount("devpts", "/dev/pts", "devpts", _NO_SUID | _NO_EXEC, "newinstance,ptmxmode=0666,mode=620")
    inodes = max(1_000, limits.disk_bytes >> 14)  # empty files take memory too
    options = f"size={limits.disk_bytes},nr_inodes={inodes},mode=755"
    _mount("tmpfs", str(SCRATCH), "tmpfs", _NO_SUID | _NO_DEVICES, options)
    for name, place in (("home", HOME), ("tmp", Path("/tmp")), ("shm", Path("/dev/shm"))):
        _cover(place, SCRATCH / name)


def _cover(place: Path, own: Path) -> None:
    """Put a folder in the place of another; what was mounted below it, as a Python environment, stays in sight."""
    own.mkdir()
    points = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in points:
        if place in point.parents:
            (own / point.relative_to(place)).mkdir(parents=True, exist_ok=True)
            _mount(str(point), str(own / point.relative_to(place)), "", _BIND | _RECURSIVE)
    _mount(str(own), str(place), "", _BIND | _RECURSIVE)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind.encode(), flags, options.encode())


# --- what may be done ---


def _drop_privileges() -> None:
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _call("prctl", _DROP_BOUND, capability, 0, 0, 0)
    none = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, in two words each
    _call("capset", (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), none)


def _set_limits(limits: Limits, *more: tuple[int, int]) -> None:
    """Limits that the kernel keeps; the sums over all processes are watched from the trusted side.

    ``more`` is for the limit on processes, which outside a namespace of its own counts all of this user's.
    """
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    # The soft limit ends with SIGXCPU, which tells an instructor why; the hard one cannot be caught.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    for kind, most in (
        (resource.RLIMIT_AS, mapped + limits.memory_bytes),  # libraries map gigabytes that they never touch
        *more,
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(kind, (most, most))


# Memory that belongs to no process would escape the watch, keys outlive their maker, and the others are doors into
# the kernel that no exercise needs: (x86-64, arm64).
_REFUSED_CALLS = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
_SOCKET_CALL, _CLONE_CALL = (41, 198), (56, 220)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_SOCKETS = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)  # others, as AF_VSOCK, know no network namespace
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _PERMISSION = 0x7FFF0000, 0x00050001  # the second: fail with EPERM


def _column() -> int:
    """Which of the numbers of a system call is this machine's."""
    return _ARCHITECTURES[platform.machine()][0]


def _filter_calls() -> None:
    """Have the kernel refuse the calls above, those of another architecture, and sockets of other families."""
    column, architecture = _column(), _ARCHITECTURES[platform.machine()][1]
    program = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _PERMISSION)]
    program += [(_LOAD, 0, 0, 0), (_JUMP_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _PERMISSION)]
    for numbers in _REFUSED_CALLS.values():
        program += [(_JUMP_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _PERMISSION)]
    program += [(_JUMP_EQUAL, 1, 0, _SOCKET_CALL[column]), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 16)]
    for family in _SOCKETS:
        program += [(_JUMP_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ALLOW)]
    program += [(_RETURN, 0, 0, _PERMISSION)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    _call("prctl", _SECCOMP, 2, header, 0, 0)


# --- asked by the probe ---


def _trial(descriptor: int) -> None:
    """In a submission's place: say what is in reach."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    interfaces = [line.partition(":")[0].strip() for line in lines]
    processes = [name for name in os.listdir("/proc") if name.isdigit()]
    socket.socket(fileno=descriptor).send(json.dumps({"interfaces": interfaces, "processes": len(processes)}).encode())


def main() -> None:
    """Isolate one fork that only looks round, and print what it found or what failed, as JSON."""
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    fork_isolated(theirs.fileno(), writing, Limits(), _trial)
    theirs.close()
    os.close(writing)
    told = os.fdopen(reading).read()
    found = ours.recv(1 << 16)
    error = next((line for line in told.splitlines() if line.startswith("error ")), "error nothing was answered")
    print(found.decode() if found else json.dumps({"error": error.removeprefix("error ")}))


if __name__ == "__main__":
    main()
