"""The base of the errors that the command `course` shows as one line, without a traceback."""


class CourseError(Exception):
    """Something that was asked for cannot be done; the message is one line that says why and what to do."""
