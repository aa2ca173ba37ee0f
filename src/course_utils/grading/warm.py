"""The warm parent: imports once what notebooks import, then is forked for every submission.

Started as ``python -m course_utils.grading.warm DESCRIPTOR``, the descriptor being a Unix socket on which it takes
orders, one JSON object a packet: ``{"do": "fork", "limits": …}`` with the submission's socket attached, answered by
``{"pid": …}`` and, where limits were given, a pidfd of the submission's init; and ``{"do": "end", "pid": …}``, answered
by the exit status. It runs no torch operation, so that a fork finds no threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any

from course_utils.grading.frames import GoneError
from course_utils.grading.isolate import Limits, isolate
from course_utils.grading.sandbox import SandboxError, Watch

LONGEST_ORDER = 1 << 16


class Warm:
    """The trusted side of a warm parent: a context manager that starts it, has it fork, and ends it.

    Args:
        launcher: what stands before the Python command: :func:`course_utils.grading.sandbox.launcher`'s answer, or
            nothing for code that is trusted.
    """

    def __init__(self, launcher: list[str] | None = None) -> None:
        self.launcher = launcher or []
        self.watches: dict[int, Watch] = {}

    def __enter__(self) -> Warm:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [*self.launcher, sys.executable, "-m", "course_utils.grading.warm", str(theirs.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.control.close()
        self.process.kill()
        self.process.wait()

    def fork(self, limits: Limits | None = None) -> tuple[socket.socket, int]:
        """Start a process for a submission: the connection to it, and its number over there.

        Args:
            limits: what it may use. In a sandbox every fork is isolated and limited, by default as :class:`Limits`
                says; without one, only where limits are given.

        Raises:
            SandboxError: it could not isolate itself; nothing was served.
            GoneError: the warm parent is gone.
        """
        limits = limits or (Limits() if self.launcher else None)
        ours, theirs = socket.socketpair()
        with theirs:
            order = {"do": "fork", "limits": limits and asdict(limits)}
            answer, descriptors = self._ask(order, [theirs.fileno()])
        if "error" in answer:
            ours.close()
            raise SandboxError(f"a submission's process could not be isolated: {answer['error']}")
        if limits:
            self.watches[answer["pid"]] = Watch(descriptors[0], limits)
        return ours, answer["pid"]

    def reason(self, pid: int) -> str:
        """Why the watch killed a process, in words for the student; empty where it did not. Ask before the end."""
        return self.watches[pid].reason if pid in self.watches else ""

    def end(self, pid: int) -> int:
        """Kill a submission's processes, if any still run, and return its exit status (negative: the signal)."""
        status = self._ask({"do": "end", "pid": pid})[0]["status"]
        if pid in self.watches:
            self.watches.pop(pid).join()
        return status

    def _ask(self, order: dict[str, Any], attached: Sequence[int] = ()) -> tuple[Any, list[int]]:
        text, descriptors = b"", list[int]()
        with contextlib.suppress(ConnectionError):
            socket.send_fds(self.control, [json.dumps(order).encode()], attached)
            text, descriptors, _, _ = socket.recv_fds(self.control, LONGEST_ORDER, 1)
        if not text:
            raise GoneError("the warm parent is gone")
        return json.loads(text), descriptors


def serve(control: socket.socket) -> None:
    """Take orders until the other end is closed; in a forked child, serve its submission and leave."""
    inits: dict[int, int] = {}  # a pidfd for each isolated submission's init
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, LONGEST_ORDER, 1)
        if not order:
            return
        wanted = json.loads(order)
        if wanted["do"] == "end":
            answer = {"status": _end(wanted["pid"], inits.pop(wanted["pid"], None))}
            control.send(json.dumps(answer).encode())
        elif wanted["limits"]:
            answer = _fork_isolated(descriptors[0], Limits(**wanted["limits"]), inits)
            socket.send_fds(control, [json.dumps(answer).encode()], [inits[answer["pid"]]] if "pid" in answer else [])
        else:
            answer = {"pid": _fork(descriptors[0], control)}
            control.send(json.dumps(answer).encode())


def _fork(descriptor: int, control: socket.socket) -> int:
    pid = os.fork()
    if pid == 0:
        control.close()
        _serve_submission(descriptor)
    os.close(descriptor)
    return pid


def _fork_isolated(descriptor: int, limits: Limits, inits: dict[int, int]) -> dict[str, Any]:
    """Fork, wait until the student's process is isolated, and keep hold of its init."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            isolate(descriptor, writing, limits, _serve_submission)
        finally:
            os._exit(1)
    os.close(writing)
    os.close(descriptor)
    with os.fdopen(reading) as report:
        lines = dict(line.rstrip("\n").partition(" ")[::2] for line in report)
    if "ready" not in lines:
        os.waitpid(pid, 0)
        return {"error": lines.get("error", "it ended")}
    inits[pid] = os.pidfd_open(int(lines["init"]))
    return {"pid": pid}


def _serve_submission(descriptor: int) -> None:
    """Be the student's process; never return into the warm parent's code."""
    status = 1
    try:
        from course_utils.grading import student

        student.main(descriptor)
        status = 0
    finally:
        os._exit(status)


def _end(pid: int, init: int | None) -> int:
    """Kill a submission; where it has an init, that, since the kernel then ends all that is below it."""
    with contextlib.suppress(ProcessLookupError):
        if init is None:
            os.kill(pid, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(init, signal.SIGKILL)
    if init is not None:
        os.close(init)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(arguments: list[str]) -> None:
    """Import what submissions need, then take orders."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot
    import numpy
    import torch

    # The first gradient that is asked for imports SymPy through this module: 0.4 s.
    import torch.fx.experimental.symbolic_shapes

    import course_utils.checks
    from course_utils.grading import student

    torch.set_num_threads(1)
    assert all((matplotlib.pyplot, numpy, torch.fx, course_utils.checks))  # imported to be warm
    student.Names()  # IPython's shell is one for the process: a fork finds it made
    serve(socket.socket(fileno=int(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
