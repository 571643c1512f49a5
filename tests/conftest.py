"""The order of the test files, and the fixtures that the tracking tests share."""

import os
from collections.abc import Callable, Iterator

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as every command has it, before numpy loads

import tracking_server
from tracked_shop import Made, Project, made_in, project_at
from xdist.scheduler import LoadFileScheduling

# The files that share a tracked shop and its servers; together they take longer than most.
TRACKING = ("test_track.py", "test_track_away.py", "test_track_governance.py")
# After the first, which compiles the kernels for all others, come those that need few of them.
LONGEST = ("test_repro.py", *TRACKING, "test_experiments.py", "test_shops.py", "test_spark.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first, so that no process waits long for the last one."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


class SharedFixtures(LoadFileScheduling):
    """One file at a time for each process, and all files of the tracking tests for one of them."""

    def _split_scope(self, nodeid: str) -> str:
        path = str(super()._split_scope(nodeid))
        return "tracking" if path.endswith(TRACKING) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharedFixtures:
    return SharedFixtures(config, log)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_in(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The address of a kind of store. The server starts on first use."""
    folder = tmp_path_factory.mktemp("server")
    known = {"sqlite": f"sqlite:///{folder / 'mlflow.db'}"}
    running = tracking_server.mlflow_server(folder)

    def address(kind: str) -> str:
        if kind not in known:
            known[kind] = running.__enter__()
        return known[kind]

    yield address
    if "server" in known:
        running.__exit__(None, None, None)


@pytest.fixture(params=["sqlite", "server"])
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    made: Made,
    addresses: Callable[[str], str],
) -> Project:
    return project_at(tmp_path_factory.mktemp("project"), made, addresses(request.param))


@pytest.fixture
def local(
    tmp_path_factory: pytest.TempPathFactory, made: Made, addresses: Callable[[str], str]
) -> Project:
    return project_at(tmp_path_factory.mktemp("project"), made, addresses("sqlite"))


@pytest.fixture(params=["down", "failing", "silent"])
def away(request: pytest.FixtureRequest) -> Iterator[str]:
    """Host and port of a server that is down, failing or silent."""
    if request.param == "down":
        yield f"127.0.0.1:{tracking_server.free_port()}"
    else:
        with tracking_server.bad_server(request.param) as address:
            yield address
