"""Check a booster's text in a process of its own: `python booster_check.py LIBRARY < TEXT`.

Exit code 0 where LightGBM can work with it. On a broken text LightGBM ends the process it runs in,
or never ends, and raises no exception. Python's own library is enough here: to import LightGBM's
package takes far longer than the check. It is no guard against a text made to do harm: an index
that points just beyond an array may go unnoticed, so whoever can write a model has to be trusted.
"""

import ctypes
import math
import resource
import sys

DOUBLE, ROW_MAJOR, CONTRIBUTIONS, ALL = 1, 1, 3, -1  # of LightGBM's C API


def is_sound(library: ctypes.CDLL, text: bytes) -> bool:
    """Return whether LightGBM reads a text, and its contributions to a row of zeros are finite.

    TreeSHAP visits every node and leaf whatever the row is, so one row is enough.
    """
    booster, trees, width = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
    length, written = ctypes.c_int64(), ctypes.c_int64()
    if library.LGBM_BoosterLoadModelFromString(text, ctypes.byref(trees), ctypes.byref(booster)):
        return False
    if library.LGBM_BoosterGetNumFeature(booster, ctypes.byref(width)):
        return False
    if library.LGBM_BoosterCalcNumPredict(booster, 1, CONTRIBUTIONS, 0, ALL, ctypes.byref(length)):
        return False
    row, result = (ctypes.c_double * width.value)(), (ctypes.c_double * length.value)()
    call = (row, DOUBLE, 1, width, ROW_MAJOR, CONTRIBUTIONS, 0, ALL, b"num_threads=1")
    if library.LGBM_BoosterPredictForMat(booster, *call, ctypes.byref(written), result):
        return False
    return all(map(math.isfinite, result))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is a result here, not to be kept
    # seconds; the process that waits for the result may have been killed
    resource.setrlimit(resource.RLIMIT_CPU, (90, 90))
    sys.exit(not is_sound(ctypes.CDLL(sys.argv[1]), sys.stdin.buffer.read()))
