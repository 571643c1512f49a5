"""A booster's text tried in a process of its own, `python booster_trial.py LIBRARY < TEXT`: exit
code 0 where LightGBM can work with it.

On a broken text LightGBM ends the process it runs in, or never ends, and no exception says so.
Python's own library is enough here: to import LightGBM's package takes far longer than all of this.
It is no guard against a text that was made to do harm: an index that points just beyond an array
may go unnoticed, so whoever can write a model has to be trusted.
"""

import ctypes
import math
import resource
import sys

DOUBLE, ROW_MAJOR, CONTRIBUTIONS, ALL = 1, 1, 3, -1  # of LightGBM's C API


def sound(library: ctypes.CDLL, text: bytes) -> bool:
    """Whether LightGBM reads a text, and what the features add to a row of zeros is finite.

    TreeSHAP goes to every node and leaf whatever the row is, so one row is enough.
    """
    booster, trees, width, length, made = (
        ctypes.c_void_p(),
        ctypes.c_int(),
        ctypes.c_int(),
        ctypes.c_int64(),
        ctypes.c_int64(),
    )
    if library.LGBM_BoosterLoadModelFromString(text, ctypes.byref(trees), ctypes.byref(booster)):
        return False
    if library.LGBM_BoosterGetNumFeature(booster, ctypes.byref(width)):
        return False
    if library.LGBM_BoosterCalcNumPredict(booster, 1, CONTRIBUTIONS, 0, ALL, ctypes.byref(length)):
        return False
    row, found = (ctypes.c_double * width.value)(), (ctypes.c_double * length.value)()
    asked = (row, DOUBLE, 1, width, ROW_MAJOR, CONTRIBUTIONS, 0, ALL, b"num_threads=1")
    if library.LGBM_BoosterPredictForMat(booster, *asked, ctypes.byref(made), found):
        return False
    return all(map(math.isfinite, found))


if __name__ == "__main__":
    # a crash is an answer here, and its memory nothing to keep
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # seconds; who waited for the answer may have been killed
    resource.setrlimit(resource.RLIMIT_CPU, (90, 90))
    sys.exit(not sound(ctypes.CDLL(sys.argv[1]), sys.stdin.buffer.read()))
