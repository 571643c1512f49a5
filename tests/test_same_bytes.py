"""Training gives the same bytes whatever kind of CPU the linear algebra is made for."""

import os
import subprocess
import sys
from pathlib import Path

import small_shop
from frozen import params

from pipeline.runtime import store
from pipeline.runtime.store import Folder
from pipeline.stages.train import train

KERNELS = ("Haswell", "Nehalem")  # with and without AVX2
NUMPY_WITHOUT = {"Nehalem": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}  # its own fast paths, turned off


def train_small_shop(folder: Path, form: str) -> None:
    """Run the stage on the small shop in `folder` and write its files, as the runner does."""
    shop = {name: Folder(folder / name) for name in ("features", "lifecycle", "labels")}
    few = {"max_rounds": 50, "task_rounds": 10}
    few |= {"forecast_rounds": 10, "timing_rounds": 20, "min_child_samples": 20, "forms": (form,)}
    boosting = params().train.model_copy(update=few)
    calendar = small_shop.calibration()
    files = train(
        **shop, shop="demo", monotone_constraints={}, calibration=calendar, params=boosting
    )
    store.write(folder / form, files["model"])


def test_training_gives_the_same_bytes_under_two_kernels_of_the_linear_algebra(
    tmp_path: Path,
) -> None:
    files: dict[str, dict[str, bytes]] = {}
    for kernel in KERNELS:
        folder = tmp_path / kernel
        small_shop.write(folder, small_shop.rows(200, 2.0))
        environment = {
            **os.environ,
            "OPENBLAS_CORETYPE": kernel,
            "NPY_DISABLE_CPU_FEATURES": NUMPY_WITHOUT.get(kernel, ""),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        out = subprocess.run(
            [sys.executable, __file__, str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert out.returncode == 0, out.stderr
        assert f"kernel {kernel}" in out.stdout, out.stdout
        files[kernel] = {
            f"{form}/{name}": (folder / form / name).read_bytes()
            for form in ("plain", "offset")
            for name in Folder(folder / form).names("**/*")
        }
    first, second = (files[kernel] for kernel in KERNELS)
    assert len(first) > 2 * (len(small_shop.ORIGINS) + 3)  # and the boosters of the forecasts
    assert first.keys() == second.keys()
    for name, content in first.items():
        assert second[name] == content, name


if __name__ == "__main__":
    import scipy.linalg  # noqa: F401 - loads the library whose kernel is named
    from threadpoolctl import threadpool_info

    print("kernel", *{library.get("architecture") for library in threadpool_info()} - {None})
    for one in ("plain", "offset"):
        train_small_shop(Path(sys.argv[1]), one)
