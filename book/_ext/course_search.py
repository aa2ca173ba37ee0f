"""Search keeps the words of a glossary when only some pages are built anew.

Sphinx reads its index of the last build for the pages that it does not write, but not their index entries, so that
after any change of another page no term of the glossary was found as such.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from sphinx.application import Sphinx
from sphinx.search import IndexBuilder

Load = Callable[[IndexBuilder, IO[str], Any], None]


def with_entries(load: Load) -> Load:
    """Wrap the method that reads the index of the last build: it takes the index entries as well."""

    def loaded(index: IndexBuilder, stream: IO[str], form: Any) -> None:
        load(index, stream, form)
        stream.seek(0)
        frozen = (index.formats[form] if isinstance(form, str) else form).load(stream)
        for entry, places in frozen["indexentries"].items():
            for number, anchor, main in places:
                if (page := frozen["docnames"][number]) in index.env.all_docs:
                    index._index_entries.setdefault(page, []).append((entry, anchor, "main" if main else ""))

    return loaded


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect it."""
    IndexBuilder.load = with_entries(IndexBuilder.load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
