"""The warm parent: imports once what notebooks import, then is forked for every submission.

There are two: one whose forks run a student's cells (:mod:`course_utils.grading.student`), and one, forked from the
first while that knows nothing, whose forks run the instructor's graded cells (:mod:`course_utils.grading.referee`).
Started as ``python -m course_utils.grading.warm DESCRIPTOR``, the descriptor being a Unix socket on which it takes
orders, one JSON object a packet: ``{"do": "fork", "limits": …, "isolated": …}`` with the submission's socket attached,
answered by ``{"pid": …}`` and a pidfd of the fork, or of its init where it is isolated; ``{"do": "end", "pid": …}``,
answered by the exit status; ``{"do": "prepare", "key": …}`` with a file of what all later forks are to know; and
``{"do": "referees", "isolated": …}`` with the socket on which the second parent takes its orders, which is not
answered. It runs no torch operation, so that a fork finds no threads.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import ModuleType, TracebackType
from typing import Any, NoReturn, Self

from course_utils.grading.frames import GoneError
from course_utils.grading.isolate import Limits, confine, fork_isolated, workplace
from course_utils.grading.sandbox import HUGE_PAGES, SandboxError, Watch

LONGEST_ORDER = 1 << 16
LONGEST_WAIT = 300.0  # seconds for an answer; the first comes after all imports, from what may be a slow disk


class Parent:
    """The trusted side of one warm parent, which has it fork.

    Args:
        control: the socket on which it takes its orders; closed by the end of the ``with`` statement.
        isolated: whether its forks isolate themselves further.
    """

    def __init__(self, control: socket.socket, isolated: bool) -> None:
        self.control, self.isolated = control, isolated
        self.control.settimeout(LONGEST_WAIT)
        self.watches: dict[int, Watch] = {}
        self.prepared: set[str] = set()
        self.lock = threading.Lock()  # orders are answered in turn

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.control.close()

    def fork(self, limits: Limits | None = None) -> tuple[socket.socket, int]:
        """Start a process for a submission: the connection to it, and its number over there.

        Args:
            limits: what it may use.

        Raises:
            SandboxError: it could not isolate itself; nothing was served.
            GoneError: the warm parent is gone.
        """
        limits = limits or Limits()
        order = {"do": "fork", "limits": asdict(limits), "isolated": self.isolated}
        with contextlib.ExitStack() as stack:
            ours, theirs = map(stack.enter_context, socket.socketpair())
            answer, descriptors = self._ask(order, [theirs.fileno()])
            if "error" in answer:
                raise SandboxError(f"a submission's process could not be isolated: {answer['error']}")
            self.watches[answer["pid"]] = Watch(descriptors[0], limits)
            return ours.dup(), answer["pid"]

    def prepare(self, text: str) -> str:
        """Have the referees' module read a text once for all later forks; the key under which they know it."""
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self.prepared:
            with tempfile.TemporaryFile() as file:
                file.write(text.encode())
                file.flush()
                self._ask({"do": "prepare", "key": key}, [file.fileno()])
            self.prepared.add(key)
        return key

    def end(self, pid: int, wait: float = 0) -> tuple[int, Watch]:
        """Kill a submission's processes, if any still run.

        Args:
            pid: its number.
            wait: seconds to give it to end by itself.

        Returns:
            The exit status (negative: the signal), and the watch, which has ended too.
        """
        watch = self.watches.pop(pid)
        watch.join(wait)
        status = self._ask({"do": "end", "pid": pid})[0]["status"]
        watch.join()
        return status, watch

    def _ask(self, order: dict[str, Any], attached: Sequence[int] = ()) -> tuple[Any, list[int]]:
        text, descriptors = b"", list[int]()
        with self.lock, contextlib.suppress(OSError):
            socket.send_fds(self.control, [json.dumps(order).encode()], attached)
            text, descriptors, _, _ = socket.recv_fds(self.control, LONGEST_ORDER, 1)
        if not text:
            raise GoneError("the warm parent is gone")
        return json.loads(text), descriptors


class Warm(Parent):
    """The students' parent: a context manager that starts and ends its process.

    Args:
        launcher: what stands before the Python command: :func:`course_utils.grading.sandbox.launcher`'s answer, or
            nothing for code that is trusted. In a sandbox, a fork is isolated from all others.
    """

    def __init__(self, launcher: list[str] | None = None) -> None:
        control, theirs = _packets()
        super().__init__(control, isolated=bool(launcher))
        self.folder = tempfile.TemporaryDirectory(prefix="course-")  # seen only where there is no sandbox
        command = [*(launcher or []), sys.executable, "-m", "course_utils.grading.warm", str(theirs.fileno())]
        outside = {**os.environ, **HUGE_PAGES, "TMPDIR": self.folder.name}
        with theirs:
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=outside)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def referees(self) -> Parent:
        """The referees' parent, forked from this one, which must not have been asked for anything before.

        Raises:
            GoneError: this one is gone.
        """
        control, theirs = _packets()
        order = {"do": "referees", "isolated": self.isolated}
        with theirs:
            try:
                socket.send_fds(self.control, [json.dumps(order).encode()], [theirs.fileno()])
            except OSError as error:
                control.close()
                raise GoneError("the warm parent is gone") from error
        return Parent(control, isolated=False)


def _packets() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def serve(control: socket.socket, role: ModuleType) -> None:
    """Take orders until the other end is closed; in a forked child, serve its submission and leave."""
    with contextlib.suppress(ConnectionError):  # the grader was ended before it had its answer
        _take_orders(control, role)


def _take_orders(control: socket.socket, role: ModuleType) -> None:
    inits: dict[int, int] = {}  # a pidfd for each submission's init, or for its one process
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, LONGEST_ORDER, 1)
        if not order:
            return
        wanted = json.loads(order)
        if wanted["do"] == "end":
            answer = {"status": _end(wanted["pid"], inits.pop(wanted["pid"]))}
            control.send(json.dumps(answer).encode())
            continue
        if wanted["do"] == "prepare":
            with os.fdopen(descriptors[0], "rb") as file:
                file.seek(0)
                role.prepare(wanted["key"], file.read().decode())
            _freeze()
            control.send(b"{}")
            continue
        if wanted["do"] == "referees":
            if os.fork() == 0:
                control.close()
                _serve_referees(descriptors[0], wanted["isolated"])
            os.close(descriptors[0])
            continue
        limits = Limits(**wanted["limits"])
        if wanted["isolated"]:
            answer = _fork_isolated(descriptors[0], limits, inits, role.main)
        else:
            answer = _fork(descriptors[0], limits, inits, role.main, control)
        os.close(descriptors[0])
        socket.send_fds(control, [json.dumps(answer).encode()], [inits[answer["pid"]]] if "pid" in answer else [])


def _serve_referees(descriptor: int, isolated: bool) -> NoReturn:
    """Be the referees' parent. What only they import is imported here, out of students' sight."""
    status = 1
    try:
        from course_utils import ahead
        from course_utils.grading import referee

        if isolated:  # a compiler reads what a student wrote
            os.environ[ahead.FRESH_SANDBOX] = "1"
        _freeze()
        serve(socket.socket(fileno=descriptor), referee)
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def _fork(
    descriptor: int,
    limits: Limits,
    inits: dict[int, int],
    serve_submission: Callable[[int], None],
    control: socket.socket,
) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        control.close()
        confine(descriptor, limits, serve_submission)
    inits[pid] = os.pidfd_open(pid)
    return {"pid": pid}


def _fork_isolated(
    descriptor: int, limits: Limits, inits: dict[int, int], serve_submission: Callable[[int], None]
) -> dict[str, Any]:
    """Fork, wait until the student's process is isolated, and keep hold of its init."""
    reading, writing = os.pipe()
    try:
        pid = fork_isolated(descriptor, writing, limits, serve_submission)
    except OSError as error:
        os.close(reading)
        return {"error": str(error)}
    finally:
        os.close(writing)
    with os.fdopen(reading) as report:
        lines = dict(line.rstrip("\n").partition(" ")[::2] for line in report)
    if "ready" not in lines:
        os.waitpid(pid, 0)
        return {"error": lines.get("error", "it ended")}
    inits[pid] = os.pidfd_open(pid)
    return {"pid": pid}


def _end(pid: int, init: int) -> int:
    """Kill a submission's init: the kernel then ends all that is below it."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(init, signal.SIGKILL)
    os.close(init)
    shutil.rmtree(workplace(pid), ignore_errors=True)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code <= 128 else 128 - code  # how an init tells of a signal


def _freeze() -> None:
    """Keep a fork's collector away from what is here: it would write to each object, and each page would be copied."""
    gc.collect()
    gc.freeze()


def main(descriptor: int) -> None:
    """Import what submissions need, then take orders."""
    import matplotlib.pyplot
    import numpy
    import torch

    # The first gradient that is asked for imports SymPy through this module: 0.4 s.
    import torch.fx.experimental.symbolic_shapes

    import course_utils.checks
    from course_utils import needs, notebooks
    from course_utils.grading import student

    torch.set_num_threads(1)
    assert all((matplotlib.pyplot, numpy, torch.fx, course_utils.checks))  # imported to be warm
    needs.fault(notebooks.package_version())  # what every notebook's first cell asks
    student.warm_up()
    _freeze()
    serve(socket.socket(fileno=descriptor), student)


if __name__ == "__main__":
    main(int(sys.argv[1]))
