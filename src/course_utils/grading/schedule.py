"""Grading a class: submissions go to workers through Dask, and come back as they are done.

A submission goes out and its grading comes back as JSON; the assignment is sent once. Workers may be on other machines;
the client alone writes.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from importlib.metadata import version
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker
from distributed.utils import silence_logging_cmgr
from distributed.versions import VersionMismatchWarning

from course_utils._errors import CourseError
from course_utils.grading.grader import Grader, Task, versions
from course_utils.grading.records import Graded, Submission, submission_from_json, submission_to_json

IN_FLIGHT = 4  # submissions for each thread: enough to keep it busy, few enough to keep memory flat
# Dask looks at its workers' stacks a hundred times a second, and at the machine twice: nobody reads that here.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "10s"}
THREADS = 4  # of one worker process: they share its warm parents, and wait most of the time


class ScheduleError(CourseError):
    """There are no workers to be had; one line that says what to do."""


def _versions() -> dict[str, str]:
    return {"distributed": version("distributed"), **versions()}


def _compare(which: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Refuse who has other versions: the same submission would get other verdicts there, and nobody could say why."""
    for name in ours:
        if theirs[name] != ours[name]:
            found = f"{name} {theirs[name]}, here it is {ours[name]}"
            raise ScheduleError(f"{which} has {found}: install the same versions on all, with requirements.lock")


class Keeper(WorkerPlugin):
    """Holds a worker's grader, so that its warm parents serve all its submissions."""

    def __init__(self, client: Client, unsafe: bool) -> None:
        self.name, self.unsafe = _keeper(client), unsafe
        self.versions = _versions()

    def setup(self, worker: Worker) -> None:
        """Start the grader; where there is no sandbox, or another version of anything, the client learns it."""
        _compare(f"the worker at {worker.address}", _versions(), self.versions)
        self.grader = Grader(unsafe=self.unsafe).__enter__()

    def teardown(self, worker: Worker) -> None:
        """End it with the worker."""
        self.grader.__exit__(None, None, None)


def _keeper(client: Client) -> str:
    """Its name: two who grade with the same workers have one each."""
    return f"course-grader-{client.id}"


def _grade(name: str, task: Task, submission: str) -> str:
    """What a worker does."""
    keeper = get_worker().plugins[name]
    assert isinstance(keeper, Keeper)
    return keeper.grader.grade(task, submission_from_json(submission)).to_json()


@contextlib.contextmanager
def workers(count: int, scheduler: str | None = None, *, unsafe: bool = False) -> Iterator[Client]:
    """Workers with a grader each: on this machine, or those of a Dask scheduler.

    Args:
        count: how many submissions are graded at once here.
        scheduler: the address of a Dask scheduler whose workers are used instead, such as ``tcp://host:8786``.
        unsafe: run students' code without a sandbox.

    Raises:
        ScheduleError: the scheduler cannot be reached, has no workers, or some with other versions.
        SandboxError: a worker has no sandbox.
    """
    with dask.config.set(QUIET), contextlib.ExitStack() as stack:
        address: Any = scheduler
        if scheduler is not None:
            _check_address(scheduler)
        else:
            address = stack.enter_context(
                LocalCluster(
                    n_workers=-(-count // THREADS),
                    threads_per_worker=min(count, THREADS),
                    processes=count > THREADS,
                    memory_limit=0,  # what takes memory is watched by its own limits
                    dashboard_address="127.0.0.1:0",  # a port of its own: another grader may run beside this one
                    silence_logs=logging.CRITICAL,
                )
            )
        stack.enter_context(silence_logging_cmgr(logging.CRITICAL))  # an error is said in one line, by us
        client = stack.enter_context(_connected(address))
        try:
            _hand_out(client, unsafe)
            yield client
        finally:
            if scheduler is not None and client.status == "running":
                with contextlib.suppress(Exception):  # some have none: why, is said already
                    client.unregister_worker_plugin(_keeper(client))


def _check_address(scheduler: str) -> None:
    with contextlib.suppress(ValueError):  # a port that is no number
        parts = urlsplit(scheduler)
        if parts.scheme in ("tcp", "tls") and parts.hostname and parts.port:
            return
    raise ScheduleError(f"--scheduler: {scheduler} is no address: give one such as tcp://host:8786")


def _connected(address: Any) -> Client:
    try:
        with warnings.catch_warnings(action="ignore", category=VersionMismatchWarning):  # the Keeper looks at more
            return Client(address, timeout=10, set_as_default=False)
    except OSError as error:
        raise ScheduleError(f"no Dask scheduler answers at {address}: start one with `dask scheduler`") from error


def _hand_out(client: Client, unsafe: bool) -> None:
    """Give every worker a grader."""
    if not client.scheduler_info()["workers"]:
        raise ScheduleError(
            f"the scheduler at {client.scheduler.address} has no workers: start some with `dask worker`"
        )
    try:
        client.register_plugin(Keeper(client, unsafe))
    except CourseError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())
        raise ScheduleError(
            f"a worker cannot grade ({words}): install this package with its extra 'grade' on every worker"
        ) from error


def grade_all(
    client: Client, task: Task, submissions: Sequence[Submission]
) -> Iterator[tuple[Submission, Graded | str]]:
    """Grade submissions on a client's workers, in whatever order they are done.

    A worker that dies has its submissions graded elsewhere. Where the grader itself fails with a submission, several
    times, it comes back with the reason, and the others go on.

    Raises:
        ScheduleError: the scheduler, or the last worker, went away.
    """
    shared = client.scatter(task, broadcast=True, hash=False)
    waiting = iter(submissions)
    known: dict[Any, Submission] = {}

    def submit(submission: Submission) -> Future:
        future = client.submit(_grade, _keeper(client), shared, submission_to_json(submission), pure=False, retries=2)
        known[future.key] = submission
        return future

    room = IN_FLIGHT * sum(client.nthreads().values())
    done = as_completed([submit(submission) for submission in islice(waiting, room)], loop=client.loop)
    for future in done:
        submission = known.pop(future.key)
        yield submission, _answer(future)
        future.release()
        for following in islice(waiting, 1):
            done.add(submit(following))


def _answer(future: Future) -> Graded | str:
    try:
        return Graded.from_json(future.result())
    except CancelledError as error:
        raise ScheduleError(
            "the scheduler or its last worker went away: start them again, then run this again; what was recorded so "
            "far is kept"
        ) from error
    except KilledWorker:
        return "the worker that graded it died several times: look at the machine's log"
    except Exception as error:
        return f"the grader failed with it ({type(error).__name__}: {' '.join(str(error).split())})"
