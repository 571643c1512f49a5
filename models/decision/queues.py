"""The work queues; every known customer is in one."""

QUEUES = ("core_care", "early_care", "save_now", "win_back", "second_purchase", "convert")


def queue_of(stage: str, activity: str, status: str | None) -> str:
    """The work queue a customer is in."""
    if stage == "prospect":
        return "convert"
    if stage == "first_time":
        return "second_purchase"
    if activity == "lapsed":
        return "win_back"
    if status == "defecting":
        return "save_now"
    return "early_care" if stage == "early_repeat" else "core_care"
