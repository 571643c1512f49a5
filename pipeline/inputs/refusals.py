"""Why a shop's files or tables are refused as a whole; refusals.yaml holds every text."""

from pipeline.runtime.errors import InputError
from pipeline.runtime.resources import read_yaml_table

REFUSALS: dict[str, tuple[str, str]] = read_yaml_table(__file__, "refusals.yaml")


def refusal(cause: str, place: str, **details: object) -> InputError:
    """Return the error for a cause in refusals.yaml; `details` fill the braces in its texts."""
    message, fix = (text.format(**details) for text in REFUSALS[cause])
    return InputError(cause.split(maxsplit=1)[0], place, message, fix)
