"""Grading on the trusted side: what a submission says is read here, and nothing of it is run in this process."""

from course_utils import _quick  # noqa: F401
