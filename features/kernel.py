"""How a kernel is compiled: without the interpreter's lock, kept on disk between runs.

A kernel is a plain Python function over one customer's past; NUMBA_DISABLE_JIT=1 runs it as one,
under a debugger. Kernels make no arrays: all room is handed to them, so numba need not count who
holds which (`_nrt`; docs/decisions/0008). A kernel that makes one is refused when it is compiled,
and an entry returns numbers only.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.registry import CPUDispatcher

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).resolve().parents[1]


def _sources_hash() -> str:
    """Numba's cache does not notice an edited callee in another file, so the folder's name changes
    with any of the sources.
    """
    digest = hashlib.sha256()
    for path in sorted([*_ROOT.glob("features/**/*.py"), *_ROOT.glob("models/**/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = str(_ROOT / ".cache" / "numba" / _sources_hash())


class _Inner(CPUDispatcher):  # type: ignore[misc]
    def __call__(self, *_: Any) -> Any:
        raise TypeError(
            f"{self.py_func.__name__} is for kernels to call; from Python call its py_func, or an entry"
        )


def kernel(function: F) -> F:
    """Compile at first call, for calls from other kernels.

    What Python would need to call it would have to be compiled, too.
    """
    compiled: Any = numba.njit(
        nogil=True, cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)
    if isinstance(compiled, CPUDispatcher):
        compiled.__class__ = _Inner  # a call from Python would otherwise end the process
    return compiled  # type: ignore[no-any-return]


def entry(function: F) -> F:
    """Compile at first call, for calls from Python.

    The result answers to the same arguments as the function.
    """
    return numba.njit(nogil=True, cache=True, _nrt=False, no_cfunc_wrapper=True)(function)  # type: ignore[no-any-return]
