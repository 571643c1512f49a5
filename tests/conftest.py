"""The order of the tests: the files that take longest begin first, so that of several processes none waits long for the last one."""

import pytest

LONGEST = ("test_repro", "test_shops", "test_spark", "test_track")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.name.startswith(LONGEST))
