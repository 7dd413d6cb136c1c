"""What a program wrote to stderr."""


def complaints(stderr):
    """Return its lines but for the loop watch's: whether it speaks up depends on how busy this machine is."""
    return [line for line in stderr.splitlines() if " loop_blocked " not in line]
