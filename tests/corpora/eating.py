"""Group 6: eating time, memory, processes, files and output."""

from __future__ import annotations

from dataclasses import replace

from corpora.base import LIMITS, Group
from corpora.patched import RAW, RIGHT_VALUES

GROUP = Group("eating", [])
WAITING = replace(LIMITS, cell_wall_seconds=3)
TIGHT = replace(LIMITS, cell_cpu_seconds=1)
first, wrong = GROUP.first, GROUP.wrong

# --- time ---
CPU, CLOCK = "CPU time", "by the clock in one cell"
first("busy-cell", "while True: pass", limits=TIGHT, reason=CPU)
wrong("busy-call", "def mean(numbers):\n    while True: pass", limits=TIGHT, reason=CPU)
wrong(
    "busy-and-deaf",
    """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
def mean(numbers):
    while True:
        try:
            while True: pass
        except BaseException: pass
""",
    limits=TIGHT,
    reason=CPU,
)
first("busy-in-c", "10 ** 10 ** 10 ** 10", limits=TIGHT, reason="CPU time|memory")
first("busy-regex", "import re\nre.match('(a*)*b', 'a' * 64)", limits=TIGHT, reason=CPU)
first("busy-children", "import os\nfor _ in range(3): os.fork()\nwhile True: pass", limits=TIGHT, reason=CPU)
first(
    "busy-threads",
    "import torch\ntorch.set_num_threads(8)\nx = torch.ones(400, 400)\nwhile True: x @ x",
    limits=TIGHT,
    reason=CPU,
)
first("sleeping-cell", "import time\ntime.sleep(10_000)", limits=WAITING, reason=CLOCK)
wrong("sleeping-call", "import time\ndef mean(numbers):\n    time.sleep(10_000)", limits=WAITING, reason=CLOCK)
first(
    "waiting-for-input",
    "try:\n    input('name? ')\nexcept BaseException as error:\n    print(type(error).__name__)",
    shows="Error",
)
first(
    "waiting-for-a-lock",
    "import threading\nlock = threading.Lock(); lock.acquire(); lock.acquire()",
    limits=WAITING,
    reason=CLOCK,
)
wrong(
    "one-byte-at-a-time",
    """
import time
def mean(numbers):
    os.write(3, struct.pack('>I', 1000))
    while True:
        os.write(3, b' '); time.sleep(0.2)
""",
    first=RAW,
    limits=WAITING,
    reason=CLOCK,
)
wrong(
    "calls-without-end-and-slow",
    "import time\ndef apply(function, x, times):\n    while True:\n        function(x); time.sleep(0.2)",
    "apply",
    limits=WAITING,
    reason=CLOCK,
)
wrong(
    "calls-without-end",
    "def apply(function, x, times):\n    while True: function(x)",
    "apply",
    limits=TIGHT,
    reason=CPU,
)
wrong(
    "calls-in-calls", "def apply(function, x, times):\n    return function(lambda: apply(function, x, times))", "apply"
)
wrong(
    "reader-that-never-reads",
    """
import time
def apply(function, x, times):
    for _ in range(10**6):
        values = ['l', ['l', 2], ['d']]
        raw({'ask': 'call', 'number': 1, 'on': 0, 'values': values, 'grad': False})
    time.sleep(1000)
""",
    "apply",
    first=RAW,
    limits=WAITING,
    reason=f"{CLOCK}|{CPU}|reply|lost",
)

# --- memory ---
MEMORY = "memory|Memory|CPU time|killed|SIG"
first("memory-at-once", "x = bytearray(1 << 40)", shows="MemoryError")
first(
    "memory-piecewise",
    "import torch\nkept = []\nwhile True: kept.append(torch.ones(1 << 22))",
    shows="memory|Memory|ended",
)
wrong("memory-in-a-call", "def mean(numbers):\n    kept = [0] * (1 << 27)\n    return sum(kept)", reason=MEMORY)
first(
    "memory-of-many",
    """
import os, time, numpy
for _ in range(8):
    if os.fork() == 0:
        kept = numpy.ones(20 << 20 >> 1); time.sleep(1000)
time.sleep(1000)
""",
    limits=replace(WAITING, cell_cpu_seconds=10),
    reason="MiB of memory",
)
first(
    "memory-without-a-process",
    """
import socket
pairs = []
try:
    while True:
        pairs.append(socket.socketpair()); pairs[-1][0].setblocking(False)
        try:
            while True: pairs[-1][0].send(bytes(1 << 16))
        except BlockingIOError: pass
except OSError as error:
    print(type(error).__name__, len(pairs))
for one, other in pairs: one.close(), other.close()
""",
    shows="OSError",
)
wrong("huge-tensor", "def softmax(x):\n    return torch.zeros(1 << 28)", "softmax", reason=MEMORY)
wrong("expanded-tensor", "def softmax(x):\n    return torch.zeros(1).expand(1 << 40)", "softmax", reason="too large")
wrong(
    "reply-of-half-a-gigabyte",
    """
def mean(numbers):
    header = {'reply': number(), 'values': ['b', 0], 'outputs': ['l'], 'writes': ['l'], 'blobs': [500 << 20]}
    text = json.dumps(header).encode()
    wire = socket.socket(fileno=os.dup(3)); wire.sendall(struct.pack('>I', len(text)) + text)
    for _ in range(500): wire.sendall(bytes(1 << 20))
""",
    first=RAW,
    reason="ended the student's process",
)
wrong(
    "graphs-kept",
    """
big = torch.zeros(4 << 20, requires_grad=True)
def apply(function, x, times):
    for _ in range(200): function(big)
    return []
""",
    "apply",
    limits=replace(LIMITS, cell_cpu_seconds=8),
)

# --- processes, files ---
first("fork-bomb", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", reason=CPU, limits=TIGHT)
first(
    "fork-bomb-in-a-shell",
    "import subprocess\nsubprocess.run(['bash', '-c', 'f() { f | f & }; f; wait'], capture_output=True, timeout=2)",
    limits=replace(LIMITS, cell_cpu_seconds=2),
)
first(
    "thread-bomb",
    """
import threading, time
def rest(): time.sleep(1000)
n = 0
try:
    while True:
        threading.Thread(target=rest, daemon=True).start(); n += 1
except RuntimeError:
    print('threads', n)
""",
    shows=r"threads \d\d?\b",
)
first(
    "descriptors",
    """
kept = []
try:
    while True: kept.append(open('/dev/null'))
except OSError:
    print('files', len(kept))
kept.clear()
""",
    shows=r"files \d\d?\b",
)
FILL = """
import os
def fill(name):
    total = 0
    try:
        with open(name, "wb", buffering=0) as file:
            while True: total += file.write(bytes(1 << 20))
    except OSError:
        return total
places = ("/tmp", "/dev/shm", "/home/student", "/run/submission")
print("filled", sum(fill(f"{place}/{n}") for place in places for n in range(20)) >> 20, "MiB")
"""
first("disk", FILL, shows=r"filled (2\d|3[0-2]) MiB")
first(
    "many-files",
    """
import os
n = 0
try:
    while True:
        os.mkdir(f'/tmp/{n}'); n += 1
except OSError:
    print('folders', n)
""",
    shows=r"folders \d{3,4}\b",
)
first(
    "deep-folders",
    """
import os
try:
    for n in range(100_000):
        os.mkdir('d'); os.chdir('d')
except OSError:
    print('deep', n)
""",
    shows=r"deep \d+",
)
first(
    "sparse-file",
    """
try:
    with open('/tmp/x', 'wb') as file: file.truncate(1 << 50)
except OSError as error:
    print(type(error).__name__)
""",
    shows="OSError",
)

# --- output ---
first("output", "for _ in range(100_000): print('x' * 100)", shows="were cut")
first("output-on-stderr", "import sys\nfor _ in range(100_000): sys.stderr.write('x' * 100)", shows="were cut")
first("output-past-python", "import os\nfor _ in range(1_000): os.write(1, b'x' * 10_000); os.write(2, b'x' * 10_000)")
first("output-without-end", "while True: print('x')", limits=TIGHT, reason=CPU)
first("output-value", "'x' * 10**7", shows="cut")
first(
    "figures",
    "import matplotlib.pyplot as plt\nfor _ in range(25): plt.figure(figsize=(1, 1))\nplt.show()",
    limits=replace(LIMITS, cell_cpu_seconds=19),
)
first("displays", "from IPython.display import display\nfor n in range(2_000): display(n)", shows="left out")
first(
    "huge-picture",
    r"""
import struct, zlib
from IPython.display import Image, display
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
head = chunk(b'IHDR', struct.pack('>IIBBBBB', 10**6, 10**6, 8, 0, 0, 0, 0))
display(Image(b'\x89PNG\r\n\x1a\n' + head + chunk(b'IEND', b'')))
""",
)
first("representation-bomb", "class Loud:\n    def __repr__(self): return 'x' * 10**7\nLoud()", shows="cut")
first(
    "deep-traceback",
    "def down(n):\n    return down(n + 1)\ndown(0)",
    shows="RecursionError",
    limits=replace(LIMITS, cell_cpu_seconds=19),
)
first("exception-text", "raise ValueError('x' * 10**7)", shows="ValueError")
wrong("exception-text-in-a-call", "def mean(numbers):\n    raise ValueError('x' * 10**7)", reason="ValueError: x")

# --- values ---
NEST = "def mean(numbers):\n    x = [1]\n    for _ in range(60): x = [x] * 10\n    return x"
wrong("nested-aliases", NEST, reason="too large")
wrong("nested-pairs", "def mean(numbers):\n    x = 1\n    for _ in range(30): x = (x, x)\n    return x", limits=TIGHT)
wrong("deep-list", "def mean(numbers):\n    x = []\n    for _ in range(5_000): x = [x]\n    return x")
wrong("list-of-itself", "def mean(numbers):\n    x = []\n    x.append(x)\n    return x")
wrong("many-tensors", "def softmax(x):\n    return [torch.zeros(1) for _ in range(20_000)]", "softmax")
wrong("many-handles", "def mean(numbers):\n    return [object() for _ in range(50_000)]")
wrong("giant-number", "def mean(numbers):\n    return 10 ** 5_000", reason="int|digits")
wrong("giant-text", "def mean(numbers):\n    return 'x' * (64 << 20)", reason="bytes|memory|Memory|lost|ended")
wrong(
    "colliding-keys",
    "def mean(numbers):\n    return Sly(['s', *(n * (2**61 - 1) for n in range(150_000))])",
    first=RIGHT_VALUES,
    limits=TIGHT,
)
wrong("many-dimensions", "def softmax(x):\n    return torch.zeros([1] * 60)", "softmax")
wrong("dictionary-of-itself", "def mean(numbers):\n    d = {}\n    d['d'] = d\n    return d")
wrong(
    "header-of-brackets",
    "def mean(numbers):\n    os.write(3, struct.pack('>I', 1 << 20) + b'[' * (1 << 20))\n    return 0.0",
    first=RAW,
)
wrong(
    "announced-and-not-sent",
    "import time\ndef mean(numbers):\n    os.write(3, struct.pack('>I', 1 << 21))\n    time.sleep(1000)",
    first=RAW,
    limits=WAITING,
    reason=CLOCK,
)
wrong(
    "announced-too-much",
    "def mean(numbers):\n    os.write(3, struct.pack('>I', 2**32 - 1))\n    return 0.0",
    first=RAW,
    reason="ended the student's process",
)
