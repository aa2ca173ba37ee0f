"""Grading a class: submissions go to workers through Dask, and come back as they are done.

A submission goes out and its grading comes back as JSON; the assignment is sent once. Workers may be on other machines;
the client alone writes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker

from course_utils._errors import CourseError
from course_utils.grading.grader import Grader, Task
from course_utils.grading.records import Graded, Submission, submission_from_json, submission_to_json

IN_FLIGHT = 4  # submissions for each thread: enough to keep it busy, few enough to keep memory flat
KEEPER = "course-grader"
# Dask looks at its workers' stacks a hundred times a second, and at the machine twice: nobody reads that here.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "10s"}
THREADS = 4  # of one worker process: they share its warm parents, and wait most of the time


class ScheduleError(CourseError):
    """There are no workers to be had; one line that says what to do."""


class Keeper(WorkerPlugin):
    """Holds a worker's grader, so that its warm parents serve all its submissions."""

    name = KEEPER

    def __init__(self, unsafe: bool) -> None:
        self.unsafe = unsafe

    def setup(self, worker: Worker) -> None:
        """Start the grader; where there is no sandbox, the client learns it."""
        self.grader = Grader(unsafe=self.unsafe).__enter__()

    def teardown(self, worker: Worker) -> None:
        """End it with the worker."""
        self.grader.__exit__(None, None, None)


def _grade(task: Task, submission: str) -> str:
    """What a worker does."""
    keeper = get_worker().plugins[KEEPER]
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
        ScheduleError: the scheduler cannot be reached, or has no workers.
        SandboxError: a worker has no sandbox.
    """
    with dask.config.set(QUIET), contextlib.ExitStack() as stack:
        address: Any = scheduler
        if address is None:
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
        try:
            client = stack.enter_context(Client(address, timeout=10, set_as_default=False))
        except OSError as error:
            raise ScheduleError(f"no Dask scheduler answers at {scheduler}: start one with `dask scheduler`") from error
        if not client.scheduler_info()["workers"]:
            raise ScheduleError(f"the scheduler at {scheduler} has no workers: start some with `dask worker`")
        client.register_plugin(Keeper(unsafe))
        yield client


def grade_all(
    client: Client, task: Task, submissions: Sequence[Submission]
) -> Iterator[tuple[Submission, Graded | str]]:
    """Grade submissions on a client's workers, in whatever order they are done.

    A worker that dies has its submissions graded elsewhere. Where the grader itself fails with a submission, several
    times, it comes back with the reason, and the others go on.
    """
    shared = client.scatter(task, broadcast=True, hash=False)
    waiting = iter(submissions)
    known: dict[Any, Submission] = {}

    def submit(submission: Submission) -> Future:
        future = client.submit(_grade, shared, submission_to_json(submission), pure=False, retries=2)
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
    except KilledWorker:
        return "the worker that graded it died several times: look at the machine's log"
    except Exception as error:
        return f"the grader failed with it ({type(error).__name__}: {' '.join(str(error).split())})"
