"""What the package refuses, told from faults."""

import traceback


def is_refusal(error: Exception) -> bool:
    """Whether this package raised it, and meant it for a user: others' are faults."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].partition(".")[0] == "skvar"
