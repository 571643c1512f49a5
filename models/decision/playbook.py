"""What to do about a customer, by queue and reason: the plays of playbook.yaml."""

from collections import Counter
from itertools import product
from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from features.settings import Positive
from models.decision.queues import QUEUES
from models.reasons.catalogue import OTHER_UNKNOWN, REASONS

SECOND_FAILURE = "second_failure"
SITUATIONS = (*REASONS, SECOND_FAILURE, OTHER_UNKNOWN)
FAILURES = ("unrepaired", "service_failure")
DATES = ("complaint_opened_on", "complaint_due_on", "delivered_on", "limit_on")
PLACEHOLDERS = {"category": "competitor", "product": "boredom"}  # the fact of which reason


def _is_one_of(names: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"`{value}` is unknown; use one of {', '.join(names)}")
        return value

    return AfterValidator(check)


Reason = Annotated[str, _is_one_of((*REASONS, OTHER_UNKNOWN))]
Queue = Annotated[str, _is_one_of(QUEUES)]
Situation = Annotated[str, _is_one_of(SITUATIONS)]
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Part):
    """A text in each language."""

    en: Text
    de: Text
    it: Text


class By(_Part):
    """By when: so many days from today, or earlier where one of the other dates is still ahead."""

    days: Annotated[int, Field(ge=0)]
    sla_share: Positive | None = None
    ipt_share: Positive | None = None
    limit: bool = False


class Play(_Part):
    """What to do about the customers of these queues with one of these reasons."""

    queues: Annotated[list[Queue], Field(min_length=1)]
    reasons: Annotated[list[Situation], Field(min_length=1)]
    owner: str
    by: By
    say: Words
    avoid: Words | None = None

    def action(self, language: str) -> str:
        """The text of the column `action`."""
        parts = [getattr(words, language) for words in (self.say, self.avoid) if words]
        return " ".join(parts)

    @model_validator(mode="after")
    def _can_be_read(self, info: ValidationInfo) -> "Play":
        longest = (info.context or {}).get("characters", 10**9)
        for language in Words.model_fields:
            text = self.action(language)
            if len(text) > longest:
                rule = f"{language}: {len(text)} characters, at most {longest}; shorten the text"
                raise ValueError(rule)
            for _, name, form, conversion in _parsed(text, language):
                if name is None:
                    continue
                if name not in PLACEHOLDERS or form or conversion:
                    known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                    raise ValueError(f"{language}: {{{name}}} is unknown; use one of {known}")
                if self.reasons != [PLACEHOLDERS[name]]:
                    rule = f"is known for {PLACEHOLDERS[name]} only; make it a play of its own"
                    raise ValueError(f"{language}: {{{name}}} {rule}")
        return self


def _parsed(text: str, language: str) -> list[Any]:
    try:
        return list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{language}: {error}; write {{{{ for {{") from None


class Playbook(_Part):
    """All plays: each pair of queue and reason has exactly one.

    `reason_words`: words of customers' answers for each reason, apart by commas.
    """

    owners: dict[str, Words]
    plays: list[Play]
    reason_words: dict[Reason, Words]

    @model_validator(mode="after")
    def _covers_each_pair_once(self) -> "Playbook":
        for play in self.plays:
            if play.owner not in self.owners:
                raise ValueError(f"owner `{play.owner}` is unknown; add it to `owners`")
        pairs = Counter(p for play in self.plays for p in product(play.queues, play.reasons))
        for queue, reason in product(QUEUES, SITUATIONS):
            if pairs[queue, reason] != 1:
                plays = "two plays; keep one" if pairs[queue, reason] else "no play; add one"
                raise ValueError(f"queue {queue}, reason {reason}: {plays}")
        return self

    def play_of(self, queue: str, situation: str) -> Play:
        """The play of a queue and situation."""
        return next(p for p in self.plays if queue in p.queues and situation in p.reasons)
