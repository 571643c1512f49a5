"""How a kernel is compiled: without the interpreter's lock, kept on disk between runs.

A kernel is a plain Python function over one customer's past; NUMBA_DISABLE_JIT=1 runs it as one, under a debugger.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).resolve().parents[1]


def _sources_hash() -> str:
    """Numba's cache does not notice an edited callee in another file, so the folder's name changes with any of the sources."""
    digest = hashlib.sha256()
    for path in sorted([*_ROOT.glob("features/*.py"), *_ROOT.glob("models/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = str(_ROOT / ".cache" / "numba" / _sources_hash())


def kernel(function: F) -> F:
    """Compile at first call; the result answers to the same arguments as the function."""
    return numba.njit(nogil=True, cache=True)(function)  # type: ignore[no-any-return]
