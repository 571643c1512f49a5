"""The cost of a piece of work: CPU seconds and peak memory of this process."""

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

STATUS, FORGET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def spent() -> float:
    """Return the CPU seconds, user and system, of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak() -> float:
    """Return the peak memory of this process in GB; on Linux since it was last forgotten."""
    with contextlib.suppress(OSError):  # getrusage would start from the peak of the parent
        lines = STATUS.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@contextlib.contextmanager
def measured(costs: dict[str, dict[str, float]], step: str) -> Iterator[None]:
    """Add the step's `cpu_s` and `peak_gb` to the costs, when it ends without an error."""
    with contextlib.suppress(OSError):
        FORGET_PEAK.write_text("5", encoding="ascii")
    start = spent()
    yield
    costs[step] = {"cpu_s": round(spent() - start, 2), "peak_gb": round(peak(), 2)}
