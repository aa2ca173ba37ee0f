"""Submissions that no grader may be moved by, and odd ones that deserve all points."""
