"""The errors that are expected, each kind with the exit code of `corekeep`.

A message has four parts: a stable code, the place (`file:line column`), the rule, and how to fix
it. Values of customers never stand in one.
"""

from collections.abc import Iterable


class Refused(Exception):
    """Something a person has to put right; shown as a line for each, without a traceback."""

    exit_code = 1

    def __init__(self, code: str, place: str, rule: str, fix: str) -> None:
        super().__init__(f"{code} {place} — {rule} — {fix}")
        self.code, self.place, self.rule, self.fix = code, place, rule, fix
        self.others: tuple[Refused, ...] = ()

    def with_others(self, others: "Iterable[Refused]") -> "Refused":
        """Return this error with others behind it, which are shown one per line."""
        self.others = tuple(others)
        return self

    def __str__(self) -> str:
        return "\n".join([str(self.args[0]), *(str(other) for other in self.others)])


class ConfigError(Refused):
    """A parameter, a shop's file or a command line that cannot be obeyed."""

    exit_code = 2


class InputError(Refused):
    """Input tables that break the contract as a whole."""

    exit_code = 3


class QualityError(Refused):
    """Rows or results that are readable but worse than the limit set for them."""

    exit_code = 4


class ModelError(Refused):
    """A model that is missing, altered, or does not fit the features."""

    exit_code = 5


class BusyError(Refused):
    """Another run is writing the same outputs."""

    exit_code = 6


class StorageError(Refused):
    """A disk that is full, read-only or failing."""

    exit_code = 7


class TrackingError(Refused):
    """A tracking server that is required but does not answer."""

    exit_code = 8
