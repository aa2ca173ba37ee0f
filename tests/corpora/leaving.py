"""Group 5: ending, stopping or leaving the process behind, in a cell and in a call."""

from __future__ import annotations

from dataclasses import replace

from corpora.assignment import WRONG
from corpora.base import LIMITS, Group

GROUP = Group("leaving", [])
WAITING = replace(LIMITS, cell_wall_seconds=3)  # for code that stops and is waited for

WAYS = {
    "exit-now": "import os\nos._exit(0)",
    "abort": "import os\nos.abort()",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "segmentation-fault": "import ctypes\nctypes.string_at(0)",
    "connection-closed": "import os\nos.close(3)",
    "connection-shut": "import os, socket\nsocket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_RDWR)",
    "all-descriptors-closed": "import os\nos.closerange(0, 64)",
    "another-program": "import os\nos.execv('/bin/true', ['true'])",
    "stack-of-c": """
import sys
sys.setrecursionlimit(10**8)
x = []
for _ in range(10**6): x = [x]
repr(x)
import os
os._exit(1)
""",
    "everything-killed": "import os, signal\ntry:\n    os.kill(-1, signal.SIGKILL)\nexcept OSError:\n    os._exit(0)",
    "trap-floating-point": "import os, signal\nos.kill(os.getpid(), signal.SIGFPE)",
}
for way, source in WAYS.items():
    inside = "\n".join(f"    {line}" for line in source.split("\n"))
    ended = "ended the student's process"
    GROUP.wrong(f"{way}-in-a-cell", f"{WRONG['mean']}\n{source}", reason=ended)
    GROUP.wrong(f"{way}-in-a-call", f"def mean(numbers):\n{inside}\n    return 0.0", reason=ended)

GROUP.first("own-cell-exits", "import os\nos._exit(0)", reason=r"cell 1 ended .* left out")
GROUP.wrong("exit-in-the-last-cell", WRONG["mean"], last="import os\nos._exit(0)", reason="ended the student's process")
STOP = "import os, signal\n{0}os.kill(os.getpid(), signal.SIGSTOP)"
GROUP.first("stopped-in-a-cell", STOP.format(""), limits=WAITING, reason="by the clock in one cell")
GROUP.wrong(
    "stopped-in-a-call",
    f"def mean(numbers):\n    {STOP.format('    ')}\n    return 0.0".replace(
        "    import os, signal\n", "    import os, signal\n"
    ),
    limits=WAITING,
    reason="by the clock in one cell",
)
for name in (
    "sys.exit(0)",
    "exit()",
    "quit(0)",
    "raise KeyboardInterrupt",
    "raise SystemExit('passed')",
    "raise GeneratorExit",
):
    plain = "".join(letter if letter.isalpha() else "-" for letter in name).strip("-")
    GROUP.wrong(f"{plain}-in-a-cell", f"import sys\n{WRONG['mean']}\n{name}")
    GROUP.wrong(f"{plain}-in-a-call", f"import sys\ndef mean(numbers):\n    {name}")
GROUP.first(
    "interrupt-in-a-thread",
    "import _thread, threading\none = threading.Timer(0.01, _thread.interrupt_main)\none.start(); one.join()",
)
GROUP.first("exits-in-a-thread", "import sys, threading\nthreading.Thread(target=sys.exit).start()")
GROUP.first(
    "thread-that-goes-on",
    """
import threading, time
def on():
    while True: time.sleep(0.05)
threading.Thread(target=on, daemon=True).start(); threading.Thread(target=on).start()
""",
)
GROUP.wrong(
    "thread-that-burns-at-the-end",
    WRONG["mean"],
    last="import threading\ndef on():\n    while True: pass\nthreading.Thread(target=on).start()",
)
DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 32):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        time.sleep(1000)
    os._exit(0)
"""
GROUP.first("daemon", DAEMON)
GROUP.wrong(
    "daemon-in-a-call",
    "def mean(numbers):\n" + "\n".join(f"    {line}" for line in DAEMON.split("\n")) + "\n    return 0.0",
)
GROUP.wrong("daemon-that-stays-when-it-ends", WRONG["mean"], last=DAEMON + "os._exit(0)")
GROUP.wrong("child-that-answers", "import os\ndef mean(numbers):\n    os.fork()\n    return 0.0")
GROUP.wrong(
    "child-that-answers-instead",
    "import os, time\ndef mean(numbers):\n    if os.fork():\n        time.sleep(1000)\n    return 0.0",
    limits=WAITING,
)
GROUP.first("at-exit", "import atexit, time\natexit.register(time.sleep, 1000)\natexit.register(print, 'passed')")
GROUP.first(
    "signal-handlers",
    """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, lambda *a: None)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
""",
)
GROUP.first(
    "alarm",
    """
import signal
signal.signal(signal.SIGALRM, lambda *a: 1 / 0)
signal.setitimer(signal.ITIMER_REAL, 0.01)
sum(range(10**6))
""",
)
GROUP.first(
    "never-collected", "class Never:\n    def __del__(self):\n        raise SystemExit(0)\nNever(); kept = Never()"
)
GROUP.wrong("recursion-in-a-call", "def mean(numbers):\n    return mean(numbers)", reason="RecursionError")
