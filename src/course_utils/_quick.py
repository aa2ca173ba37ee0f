"""Imported first by what starts often: it leaves out a module that takes a second to import and is not needed.

jsonschema, which nbformat imports, takes along rfc3987_syntax where that is installed, and that builds a parser of web
addresses when it is imported. No notebook is checked for those; jsonschema goes on without it.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
