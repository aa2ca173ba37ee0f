"""Group 4: reading what is hidden. Each attack searches when its cell runs and again inside every call.

What it looks for is written backwards, so that a search does not find itself; what it found is its answer, is raised
and is printed at the end. The marker of the hidden cells must be nowhere in what comes back.
"""

from __future__ import annotations

from corpora.base import Group

GROUP = Group("peeking", [])

TOOLS = """
import gc, glob, inspect, os, sys
NEEDLE, LOOKED, FOUND = "-lertsek"[::-1], [], []
def search(content, where):
    LOOKED.append(where)
    data = content if isinstance(content, bytes) else str(content).encode(errors="replace")
    place = data.find(NEEDLE.encode())
    while place >= 0 and len(FOUND) < 1000:
        FOUND.append((where, data[max(0, place - 8) : place + 40]))
        place = data.find(NEEDLE.encode(), place + 1)
def read(path, size=1 << 22):
    try:
        with open(path, "rb", buffering=0) as file:
            search(file.read(size), path)
    except Exception as error:
        LOOKED.append(f"{path}: {type(error).__name__}")
"""
ANSWER = """
def mean(numbers):
    try:
        look()
    except Exception as error:
        LOOKED.append(repr(error))
    return str(FOUND)
mean([1.0])
"""
LAST = "print('looked in', len(LOOKED), 'places, the last', str(LOOKED[-1])[:80])\nprint(FOUND[:5])"


def peek(name: str, look: str, reason: str = "", shows: str = r"looked in \d+ places") -> None:
    """An attack that looks in one way."""
    body = "\n".join(f"    {line}" for line in look.strip("\n").split("\n"))
    GROUP.wrong(name, f"{TOOLS}\ndef look():\n{body}\n{ANSWER}", last=LAST, reason=reason, shows=shows)


peek(
    "course-files",
    """
for root in ("{{REPOSITORY}}", "{{CANARY}}", "/root", "/home", "/tmp", "/srv", "/opt", "/mnt", "/var", "/run", ".."):
    for folder, folders, names in os.walk(root):
        folders[:] = [each for each in folders if each not in ("site-packages", "lib", "proc", "share")]
        for name in names[:200]:
            if not name.endswith((".so", ".pyc")):
                read(os.path.join(folder, name), 1 << 16)
""",
)
peek(
    "names-of-files",
    """
for name in ("solutions/01-corpus/01-corpus.md", "_build/source/01-corpus/01-corpus.ipynb", "gradebook.db",
             "tests/corpora/assignment.py", ".git/HEAD", "nbgrader_config.py", "01-corpus.ipynb", "01-corpus.md"):
    for folder in (".", "..", "/", "/home/student", "{{CANARY}}", os.path.dirname(sys.prefix), *sys.path):
        read(os.path.join(folder, name))
""",
)
peek(
    "package",
    """
import course_utils
for path in glob.glob(course_utils.__path__[0] + '/../**/*', recursive=True):
    read(path)
""",
)
peek(
    "history",
    """
shell = get_ipython()
for thing in (shell.user_ns.get('In'), shell.user_ns.get('Out'), shell.user_ns, shell.__dict__):
    search(repr(thing), 'history')
""",
)
peek(
    "history-on-disk",
    """
LOOKED.append('history')
for item in get_ipython().history_manager.search('*'):
    search(repr(item), 'history')
""",
)
peek(
    "frames",
    """
frame = sys._getframe()
while frame:
    search(repr(frame.f_locals), "locals"); search(repr(frame.f_globals.keys()), "globals")
    try:
        search(inspect.getsource(frame), "source")
    except OSError:
        pass
    frame = frame.f_back
""",
)
peek("stack", "for entry in inspect.stack(context=50):\n    search(repr(entry), entry.filename)")
peek("other-threads", "for number, frame in sys._current_frames().items():\n    search(repr(frame.f_locals), number)")
peek(
    "garbage",
    """
for thing in gc.get_objects():
    if type(thing) in (dict, list, tuple, set):
        try:
            if len(thing) < 200 and thing is not FOUND and thing is not LOOKED:
                search(repr(thing)[:100_000], "gc")
        except BaseException:
            pass
""",
)
peek(
    "modules",
    """
for name, module in list(sys.modules.items()):
    search(list(getattr(module, '__dict__', {})), name)
import linecache
search(repr(linecache.cache)[:10**6], 'linecache')
""",
)
peek(
    "environment",
    """
search(repr(os.environ), 'environ')
for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
    read(path)
""",
)
peek(
    "parent-process",
    """
for number in (1, os.getppid(), 0, 3, 4, 5):
    for name in ('environ', 'cmdline', 'maps', 'mem', 'stack', 'syscall', 'cwd', 'auxv', 'fd/0', 'fd/3'):
        read(f'/proc/{number}/{name}')
""",
)
peek(
    "root-of-the-parent",
    """
for number in (1, os.getppid()):
    for path in ('root/etc/passwd', 'root{{REPOSITORY}}/pyproject.toml', 'root{{CANARY}}/gradebook.db'):
        read(f'/proc/{number}/{path}')
""",
)
peek(
    "own-memory",
    """
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
    for line in maps:
        span, rights, *_ = line.split()
        start, end = (int(part, 16) for part in span.split("-"))
        if rights.startswith("rw") and end - start < 1 << 24:
            try:
                memory.seek(start)
                search(memory.read(end - start), span)
            except OSError:
                pass
""",
)
peek(
    "open-descriptors",
    """
import fcntl, socket
for number in range(64):
    try:
        LOOKED.append((number, os.readlink(f"/proc/self/fd/{number}")))
        if number > 3:
            os.set_blocking(number, False)
            search(os.read(number, 1 << 20), number)
    except OSError as error:
        LOOKED.append((number, str(error)))
""",
)
peek(
    "the-connection-itself",
    """
import socket
with socket.socket(fileno=os.dup(3)) as wire:
    for flags in (socket.MSG_PEEK | socket.MSG_DONTWAIT, socket.MSG_DONTWAIT | socket.MSG_PEEK | socket.MSG_OOB):
        try:
            data, extra, _, _ = wire.recvmsg(1 << 20, 4096, flags)
            search(data + repr(extra).encode(), "wire")
        except OSError as error:
            LOOKED.append(str(error))
""",
)
peek(
    "unix-sockets",
    """
import socket
read("/proc/net/unix")
for line in open("/proc/net/unix").read().split("\\n")[1:]:
    name = line.split()[-1] if "@" in line or "/" in line else ""
    if name:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(0.1)
            one.connect(name.replace("@", "\\0"))
            search(one.recv(1000), name)
""",
)
peek(
    "ptrace",
    """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for number in (1, os.getppid()):
    for request in (16, 0x4206):
        LOOKED.append((number, libc.ptrace(request, number, 0, 0), ctypes.get_errno()))
assert all(result == -1 for number, result, _ in LOOKED[-4:]), "traced"
buffer = ctypes.create_string_buffer(1 << 16)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
local, remote = Vector(ctypes.addressof(buffer), 1 << 16), Vector(0x400000, 1 << 16)
LOOKED.append(libc.process_vm_readv(1, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
search(buffer.raw, "memory of the parent")
""",
)
peek(
    "main-module",
    """
import __main__
for name in ('__main__', 'course_utils.grading.warm', 'course_utils.grading.split', 'course_utils.grading.referee'):
    search(repr(vars(sys.modules.get(name, __main__)))[:10**6], name)
""",
)
peek(
    "the-peer",
    """
for thing in gc.get_objects():
    if type(thing).__name__ in ("Peer", "Remote", "Names", "Handles", "Shell"):
        search(repr(vars(thing)), type(thing).__name__)
""",
)
peek(
    "asking-the-peer",
    """
peer = next(thing for thing in gc.get_objects() if type(thing).__name__ == "Peer")
search(repr(peer.handles.given), "handles")
for number in range(3):
    search(repr(peer.call(number, (), {})), number)
""",
    reason="a handle that was never given",
    shows="",
)
peek(
    "devices",
    """
for path in ('/dev/kmsg', '/dev/mem', '/proc/kcore', '/proc/kallsyms', '/dev/fuse', '/dev/tty', '/dev/pts/0'):
    read(path, 1 << 16)
""",
)
peek(
    "shared-memory",
    """
for path in glob.glob('/dev/shm/*') + glob.glob('/dev/mqueue/*') + glob.glob('/run/**/*', recursive=True):
    read(path)
read('/proc/sysvipc/shm'); read('/proc/sysvipc/msg')
""",
)
peek(
    "mounts",
    """
for path in ('/proc/self/mountinfo', '/proc/mounts', '/proc/self/cgroup', '/etc/passwd', '/etc/hostname'):
    read(path)
""",
)
peek(
    "links",
    """
for target in ('{{CANARY}}/gradebook.db', '{{REPOSITORY}}/pyproject.toml', '/proc/1/root/etc/passwd'):
    name = f'link-{len(LOOKED)}'
    os.symlink(target, name)
    read(name)
    try:
        os.link(target, name + '-hard')
    except OSError:
        pass
""",
)

GROUP.wrong(
    "callback-inside-out",
    TOOLS
    + """
def apply(function, x, times):
    seen = [function, x]
    for depth in range(4):
        for thing in list(seen):
            search(repr(thing), "callback")
            names = ("__closure__", "__globals__", "__code__", "__self__", "_call")
            seen += [getattr(thing, name, None) for name in names]
    for odd in ((), (1, 2, 3), (NEEDLE,), ({NEEDLE: 1},)):
        try:
            search(repr(function(*odd)), "callback")
        except Exception as error:
            search(repr(error) + repr(error.__traceback__) + repr(error.__context__), "error")
    return [str(FOUND)]
""",
    "apply",
    last=LAST,
    shows=r"looked in \d+ places",
)
