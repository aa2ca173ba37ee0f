"""All hostile submissions, group by group."""

from corpora import eating, forged, leaving, malformed, patched, peeking, reaching, tampered

CASES = [
    *tampered.GROUP.cases,
    *patched.GROUP.cases,
    *forged.GROUP.cases,
    *peeking.GROUP.cases,
    *leaving.GROUP.cases,
    *eating.GROUP.cases,
    *reaching.GROUP.cases,
    *malformed.CASES,
]
