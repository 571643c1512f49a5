"""How a kernel is compiled: without the interpreter's lock, kept on disk between runs.

A kernel is a plain Python function over one customer's past; NUMBA_DISABLE_JIT=1 runs it as one,
under a debugger. Kernels make no arrays: they work in buffers that the caller passes, so numba need
not count references (`_nrt`; docs/decisions/0008). A kernel that makes an array is refused when it
is compiled, and an entry returns numbers only.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = Path(__file__).resolve().parents[1]


def _sources_hash() -> str:
    """Return the hash of all files that hold kernels."""
    digest = hashlib.sha256()
    for path in sorted([*_ROOT.glob("features/**/*.py"), *_ROOT.glob("models/**/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Numba's cache does not notice that a kernel in another file was edited, or that a family of
# features was added. So each state of the sources has a folder of its own.
_CACHE = Path(numba.config.CACHE_DIR or _ROOT / ".cache" / "numba")
numba.config.CACHE_DIR = str(_CACHE / _sources_hash())


class _Inner(CPUDispatcher):  # type: ignore[misc]
    def __call__(self, *_: Any) -> Any:
        raise TypeError(
            f"{self.py_func.__name__} can only be called from kernels: "
            "call its py_func, or an entry"
        )


def kernel(function: F) -> F:
    """Compile at first call, for calls from kernels alone: a wrapper would cost compile time.

    Inlined, since a call would pass each array of a past as seven numbers: half of the run time.
    """
    compiled: Any = numba.njit(
        nogil=True,
        cache=True,
        _nrt=False,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        forceinline=True,
    )(function)
    if isinstance(compiled, CPUDispatcher):
        compiled.__class__ = _Inner  # a call from Python would otherwise end the process
    return compiled  # type: ignore[no-any-return]


def entry(function: F) -> F:
    """Compile at first call, for calls from Python with the arguments of the function."""
    return numba.njit(nogil=True, cache=True, _nrt=False, no_cfunc_wrapper=True)(function)  # type: ignore[no-any-return]


def one_after_another(kernels: Sequence[Callable[..., None]]) -> Callable[..., None]:
    """Return a function that calls each kernel with its three arguments: compiled, directly."""
    if numba.config.DISABLE_JIT:

        def call_all(*arguments: Any) -> None:
            for called in kernels:
                called(*arguments)

        return call_all

    @intrinsic  # type: ignore[untyped-decorator]
    def calls(typing: Any, first: Any, second: Any, third: Any) -> Any:
        types = [numba.typeof(called) for called in kernels]
        signatures = [each.get_call_type(typing, (first, second, third), {}) for each in types]

        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            for each, signature in zip(types, signatures, strict=True):
                context.get_function(each, signature)(builder, arguments)
            return context.get_dummy_value()

        return numba.void(first, second, third), generate

    return calls  # type: ignore[no-any-return]
