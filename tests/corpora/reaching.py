"""Group 7: reaching out to the network, to files that are others', and to other processes."""

from __future__ import annotations

from corpora.base import Group

GROUP = Group("reaching", [])
TRY = """
import os, socket, subprocess
DONE = []
def attempt(name, action):
    try:
        DONE.append(f"{name}: got through ({str(action())[:60]})")
    except Exception as error:
        DONE.append(f"{name}: {type(error).__name__}")
"""


def reach(name: str, source: str, shows: str = r"tried (?!.*got through)") -> None:
    """An attempt from a cell; what came of it is printed in one line."""
    GROUP.first(name, f"{TRY}{source.strip()}\nprint('tried', '; '.join(DONE))", shows=shows)


reach(
    "tcp",
    """
for host in ('127.0.0.1', 'localhost', '::1', '1.1.1.1', 'example.com'):
    attempt(host, lambda: socket.create_connection((host, {{PORT}}), 1))
""",
)
reach(
    "udp",
    """
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attempt('udp', lambda: one.sendto(b'x', ('127.0.0.1', {{PORT}})))
""",
)
reach(
    "names",
    """
for host in ('example.com', 'localhost.localdomain', 'metadata.google.internal'):
    attempt(host, lambda: socket.getaddrinfo(host, 80))
""",
)
reach(
    "metadata",
    """
import urllib.request
attempt('metadata', lambda: urllib.request.urlopen('http://169.254.169.254/latest', timeout=1).read())
""",
)
reach(
    "abstract-sockets",
    r"""
one = socket.socket(socket.AF_UNIX)
for name in ('\0course-corpora-{{PORT}}', '\0/tmp/.X11-unix/X0', '/run/docker.sock', '/var/run/dbus/system_bus_socket'):
    attempt(repr(name), lambda: one.connect(name))
""",
)
reach(
    "families",
    """
for family in (socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK, socket.AF_ALG, 31):
    attempt(family, lambda: socket.socket(family, socket.SOCK_RAW))
""",
)
reach(
    "listening",
    """
one = socket.socket()
one.settimeout(0.1)
one.bind(('127.0.0.1', {{PORT}})); one.listen()
attempt('accept', one.accept)
""",
)
reach(
    "pip",
    """
import sys
words = [sys.executable, '-m', 'pip', 'install', '--no-input', '--timeout=1', '--retries=0', 'tqdm']
attempt('pip', lambda: subprocess.run(words, check=True, capture_output=True, timeout=60))
""",
)
reach(
    "programs",
    """
page = 'http://127.0.0.1:{{PORT}}'
for words in (['curl', '-m1', page], ['wget', '-T1', page], ['bash', '-c', 'echo > /dev/tcp/127.0.0.1/{{PORT}}'],
              ['sudo', '-n', 'id'], ['su', '-c', 'id']):
    attempt(words[0], lambda: subprocess.run(words, check=True, capture_output=True, timeout=10, stdin=-3))
""",
)
reach(
    "writing-files",
    """
import sys, course_utils
package = course_utils.__path__[0]
for place in ('{{CANARY}}', '{{CANARY}}/submitted', '/', '/etc', '/usr/lib', '/usr/bin', '/root', '/var/tmp', '/run',
              sys.prefix, package, package + '/grading', '/proc/1', '/sys', '/dev'):
    attempt(place, lambda: open(place + '/corpora', 'w'))
""",
)
reach(
    "writing-known-files",
    """
import course_utils
for place in ('{{CANARY}}/gradebook.db', '{{CANARY}}/submitted/other/01-corpus/01-corpus.ipynb', course_utils.__file__,
              '/etc/passwd', '/usr/bin/env', '/proc/sys/kernel/core_pattern', '/proc/1/oom_score_adj',
              '/proc/sysrq-trigger', '/proc/1/mem'):
    attempt(place, lambda: open(place, 'ab'))
    attempt('link ' + place, lambda: os.link(place, 'hard'))
    attempt('chmod ' + place, lambda: os.chmod(place, 0o777))
""",
)
reach(
    "deleting",
    """
for place in ('{{CANARY}}/gradebook.db', '/usr/bin/env', '/etc'):
    attempt(place, lambda: os.remove(place))
    attempt('rename ' + place, lambda: os.rename(place, place + '-old'))
""",
)
reach(
    "making-the-folders-itself",
    "attempt('home', lambda: os.makedirs('{{CANARY}}/submitted/me'))\nattempt('mnt', lambda: os.makedirs('/mnt/x'))",
    shows="tried",
)
reach(
    "privileges",
    """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def refused(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)
for name, *arguments in (("unshare", 0x10000000), ("unshare", 0x20000), ("unshare", 0x40000000), ("setns", 3, 0),
                         ("mount", b"x", b"/tmp", b"tmpfs", 0, None), ("umount2", b"/proc", 2), ("chroot", b"/tmp"),
                         ("pivot_root", b"/tmp", b"/tmp"), ("sethostname", b"x", 1), ("swapon", b"x", 0), ("setuid", 0),
                         ("setgid", 0), ("iopl", 3), ("reboot", 0),
                         ("syscall", 319, b"x", 0), ("syscall", 321, 0, 0, 0),
                         ("syscall", 425, 8, 0), ("syscall", 323, 0), ("syscall", 248, b"user", b"x", b"x", 1, -3),
                         ("syscall", 272, 0x10000000), ("syscall", 246, 0, 0, 0, 0), ("acct", b"/tmp/x")):
    attempt(name, lambda: refused(name, *arguments))
attempt("mknod", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)))
attempt("chown", lambda: os.chown(".", 0, 0))
attempt("nice", lambda: os.nice(-5))
attempt("scheduler", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10)))
""",
)
reach(
    "other-processes",
    """
import signal
for number in (9, 15, 19):
    os.kill(os.getppid(), number)
attempt("parent", lambda: open(f"/proc/{os.getppid()}/mem", "rb"))
for number in [*range(3, 5000), -5, 2**22 - 1]:
    if number != os.getpid() and os.path.exists(f"/proc/{number}"):
        DONE.append(f"{number}: got through")
attempt("group 1", lambda: os.killpg(1, 0) or os.kill(2**22, 9))
""",
)
reach(
    "terminal",
    """
import fcntl, termios
for number in (0, 1, 2):
    attempt(number, lambda: fcntl.ioctl(number, termios.TIOCSTI, b'x'))
attempt('tty', lambda: open('/dev/tty', 'w'))
""",
)
reach(
    "limits-raised",
    """
import resource
for name in ('CPU', 'AS', 'NPROC', 'NOFILE', 'FSIZE', 'CORE'):
    kind = getattr(resource, 'RLIMIT_' + name)
    attempt(kind, lambda: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
""",
)
GROUP.wrong(
    "descriptor-smuggled",
    r"""
import os, socket
pair = socket.socketpair()
def mean(numbers):
    socket.send_fds(socket.socket(fileno=os.dup(3)), [b'\0'], [pair[0].fileno()])
    return 0.0
""",
)
reach(
    "left-for-the-next",
    """
for place in ('/tmp', '/dev/shm', '.', '/run/submission', '/var/tmp'):
    try:
        open(place + '/left-by-corpora', 'w').write('x')
    except OSError: pass
""",
)
reach(
    "found-from-the-one-before",
    """
for place in ('/tmp', '/dev/shm', '.', '/run/submission', '/var/tmp'):
    attempt(place, lambda: open(place + '/left-by-corpora'))
""",
)
