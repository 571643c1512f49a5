"""The work queues; every known customer is in exactly one."""

QUEUES = ("core_care", "early_care", "save_now", "win_back", "second_purchase", "convert")


def queue_of(stage: str | None, activity: str | None, status: str | None) -> str:
    """Return the work queue of a customer in this stage, activity and status (None for none)."""
    if stage == "prospect":
        return "convert"
    if stage == "first_time":
        return "second_purchase"
    if activity == "lapsed":
        return "win_back"
    if status == "defecting":
        return "save_now"
    return "early_care" if stage == "early_repeat" else "core_care"
