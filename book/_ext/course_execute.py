"""Cells are run before Sphinx reads the pages, a page on each core, into the cache where myst-nb then finds them.

By itself myst-nb runs a page's cells when Sphinx reads the page, one page after another. A cell tagged ``timed``, whose
output says how long something took, runs while no other page's cell does.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from myst_nb.core.execute import NotebookClientCache, create_client
from myst_nb.core.read import create_nb_reader
from nbclient import NotebookClient
from nbclient.client import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.reader import NotJSONError
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Turns:
    """Who may run a cell now: any number of pages together, or one alone.

    Pages run in processes of their own, and the lock of a file ends with the process that held it. Who waits to be
    alone keeps the door shut meanwhile, so that those who come later cannot make it wait for ever.
    """

    def __init__(self, folder: str):
        self.door, self.room = (os.open(Path(folder, name), os.O_CREAT | os.O_RDWR) for name in ("door", "room"))

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever was held is given back."""
        os.close(self.door)
        os.close(self.room)

    def begin(self, *, alone: bool = False) -> None:
        """Wait for the turn."""
        fcntl.flock(self.door, fcntl.LOCK_EX)
        fcntl.flock(self.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self.door, fcntl.LOCK_UN)

    def end(self) -> None:
        """Make room for others."""
        fcntl.flock(self.room, fcntl.LOCK_UN)


class CellError(Exception):
    """A cell failed: its place in the notebook, and what is to be said about it."""


def run(
    notebook: NotebookNode, folder: str, timeout: int, allow_errors: bool, locks: str
) -> tuple[NotebookNode, float]:
    """Run a page's cells in a fresh kernel; the notebook with their outputs, and the seconds it took.

    Raises:
        CellError: the first cell that raised, took too long or brought the kernel down.
    """
    reached, began = 0, time.monotonic()

    def begin(cell: NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = cell_index
        turns.begin(alone="timed" in cell.metadata.get("tags", []))

    def end(**_: Any) -> None:
        turns.end()

    # Times of execution, in the cells' metadata, would make others of them: the cache would not know them again.
    settings = {"timeout": timeout, "allow_errors": allow_errors, "record_timing": False}
    hooks = {"on_notebook_start": end, "on_cell_execute": begin, "on_cell_executed": end}
    with Turns(locks) as turns:
        turns.begin()  # a kernel that starts would disturb a timed cell as well
        try:
            NotebookClient(notebook, **settings, **hooks).execute(cwd=folder)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise CellError(reached, str(error)) from None
    return notebook, time.monotonic() - began


def not_cached(app: Sphinx, pages: list[str], cache: JupyterCacheAbstract) -> Iterator[tuple[str, NotebookClientCache]]:
    """The pages that are to be executed and whose cells, as they are now, were not yet; as myst-nb will see them."""
    for page in pages:
        path, config = app.env.doc2path(page), app.env.mystnb_config
        text = Path(path).read_text(encoding="utf-8")
        reader = create_nb_reader(path, app.env.myst_config, config, text)
        if reader is None:
            continue
        client = create_client(reader.read(text), path, config, LOGGER)
        if isinstance(client, NotebookClientCache):
            try:
                cache.merge_match_into_notebook(client.notebook)
            except (KeyError, NotJSONError):  # never run, or the build was killed while it wrote
                yield page, client


def execute(app: Sphinx, env: Any, pages: list[str]) -> None:
    """Run the cells of those pages that Sphinx is about to read and that the cache does not know.

    What succeeded is in the cache at once: when another page fails, or somebody interrupts, it is not run again.
    """
    config, failed = env.mystnb_config, []
    cache = get_cache(config.execution_cache_path)
    # The last page first: later chapters compute more, and a long page that begins last would be waited for.
    clients = dict(reversed(list(not_cached(app, pages, cache))))
    with tempfile.TemporaryDirectory() as locks:
        pool = ProcessPoolExecutor(CORES)
        try:
            order = config.execution_timeout, config.execution_allow_errors, locks
            running = {
                pool.submit(run, client.notebook, str(client.path.parent), *order): page
                for page, client in clients.items()
            }
            for future in as_completed(running):
                page = running[future]
                client = clients[page]
                try:
                    notebook, seconds = future.result()
                except CellError as failure:
                    cell, words = failure.args
                    LOGGER.error(words, location=(page, client.cell_line(cell)))
                    failed.append(page)
                else:
                    bundle = CacheBundleIn(notebook, str(client.path), data={"execution_seconds": seconds})
                    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        finally:
            pool.shutdown(cancel_futures=True)
    if failed:
        raise ExtensionError(f"a cell failed (its page, line and traceback are above): {', '.join(sorted(failed))}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the parts."""
    app.parallel = CORES  # reading and writing too: Sphinx's -j, for which jupyter-book has no option
    app.connect("env-before-read-docs", execute)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
