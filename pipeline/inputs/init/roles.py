"""Which column is what: by the words in its name (words.yaml) and by its values."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.inputs.init.columns import Column
from pipeline.runtime.resources import read_yaml_table

WORDS = read_yaml_table(__file__, "words.yaml")
CONCEPTS: dict[str, set[str]] = {}
for _concept, _words in WORDS["words"].items():
    for _word in _words.split():
        CONCEPTS.setdefault(_word, set()).add(_concept)
GUESTS = frozenset(WORDS["guests"].split())
LEAST = 2.5  # below that of an address of e-mail
FILLER = frozenset(WORDS["filler"].split())
ROLES: dict[str, dict[frozenset[str], int]] = {
    role: {frozenset(names.split()): score for names, score in entries.items()}
    for role, entries in WORDS["roles"].items()
}
TIMES = ("ordered_at", "cancelled_at", "delivered_at", "promised_at", "returned_at", "opened_at",
         "resolved_at", "created_at")  # fmt: skip
# More different values are no categories, or no yes and no.
AT_MOST = dict.fromkeys(("status", "category", "currency", "severity"), 2000)
AT_MOST |= {"optout": 6, "consent": 6}
NUMBERS = ("net_amount", "price", "quantity", "discount", "refunded")
OF_PRODUCT = ("sku", "label", "category")
FIRST_LINES = ("1", "0", "10", "01", "001")  # the most frequent numbers of an order's lines


@dataclass(frozen=True)
class Named:
    """The concepts in a name. Each word means one thing or another; `unknown` counts the others."""

    meanings: tuple[frozenset[str], ...]
    unknown: int


def words_of(name: str) -> list[str]:
    """Return the words of a name, without accents, in lower case."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        name = name.lower().replace(letter, plain)
    flat = unicodedata.normalize("NFKD", name.replace("°", " ").replace("#", " no "))
    flat = "".join(letter for letter in flat if not unicodedata.combining(letter))
    return re.findall(r"[a-z0-9]+", flat)


def read_name(name: str) -> Named:
    """Return what the words of a column's or file's name mean."""
    meanings, unknown = [], 0
    for word in words_of(name):
        parts = [word] if word in CONCEPTS else _split(word)
        for part in parts:
            if part in CONCEPTS:
                meanings.append(frozenset(CONCEPTS[part]))
            elif part not in FILLER and not part.isdigit():
                unknown += 1
    return Named(tuple(meanings), unknown)


def _split(word: str) -> list[str]:
    """Return the parts of a compound such as bestelldatum, or the word itself."""
    if word.endswith("s") and word[:-1] in CONCEPTS:
        return [word[:-1]]
    for at in range(len(word) - 2, 2, -1):
        head, tail = word[:at], word[at:]
        for stem in (head, head.removesuffix("s"), head.removesuffix("en"), f"{head}en"):
            if stem in CONCEPTS and tail in CONCEPTS:
                return [stem, tail]
    return [word]


def fits(named: Named, wanted: frozenset[str]) -> bool:
    """Whether each word can mean one of the wanted concepts, and each concept has its word."""
    return all(meaning & wanted for meaning in named.meanings) and all(
        any(concept in meaning for meaning in named.meanings) for concept in wanted
    )


def name_score(name: str, role: str) -> float:
    """Return how well a name fits a role, 0 if not at all; words that say nothing count against."""
    named = read_name(name)
    scores = [score for wanted, score in ROLES[role].items() if fits(named, wanted)]
    return max(max(scores) - 2 * named.unknown, 0) if scores and named.meanings else 0


def score(column: Column, role: str) -> float:
    """Return how well a column fits a role by its name and its values, 0 if not at all."""
    if not column.filled or not _can_be(column, role):
        return 0
    is_time = role == "clock" and all(":" in value for value in column.samples)
    bonus = is_time or (role == "ordered_at" and not name_score(column.name, role))
    by_name = name_score(column.name, role)
    has_guests = role == "customer" and column.samples[0].lower() in GUESTS
    return min(by_name, LEAST) if has_guests else by_name + bonus


def _can_be(column: Column, role: str) -> bool:
    """Whether the values of a column allow a role."""
    number, is_time = column.number, column.time is not None
    if role in TIMES or role == "clock":
        return column.is_clock if role == "clock" else is_time
    if role in NUMBERS:
        whole = role != "quantity" or (number and number.is_whole)
        return (
            number is not None and not is_time and bool(whole or name_score(column.name, role) > 7)
        )
    if (column.time and not column.time.expression) or _is_no_product(column, role):
        return False
    if limit := AT_MOST.get(role):
        return column.distinct <= limit
    if role in ("customer", "order", "sku") and number and not number.is_whole:
        return all(re.fullmatch(r"\d+[.,]0+", value) for value in column.samples)
    return role != "customer" or column.distinct > 1 or column.rows == 1


def _is_no_product(column: Column, role: str) -> bool:
    """Whether a column describes the customer, or numbers the lines, so that it is no product."""
    if role != "sku":
        return role in OF_PRODUCT and column.of_customer
    numbers_lines = column.samples[0] in FIRST_LINES and name_score(column.name, role) < 7
    numbers_rows = column.distinct == column.filled and name_score(column.name, role) < LEAST
    return column.of_customer or numbers_lines or numbers_rows


def assign(
    columns: list[Column], fixed: dict[str, Column], roles: tuple[str, ...]
) -> dict[str, Column]:
    """Return the best column for each role; a column has one role, `fixed` ones come first."""
    chosen = dict(fixed)
    scores = [
        (score(column, role), column.share >= 0.5, -columns.index(column), role, column)
        for role in roles
        for column in columns
    ]
    for value, _, _, role, column in sorted(scores, key=lambda row: row[:3], reverse=True):
        taken = role in chosen or any(other is column for other in chosen.values())
        if value > 0 and not taken:
            chosen[role] = column
    return chosen


def by_values(columns: list[Column], chosen: dict[str, Column]) -> dict[str, Column]:
    """Return roles for columns without names: the first that could be the customer, and so on."""
    free = [c for c in columns if not any(c is other for other in chosen.values())]
    tests: dict[str, Callable[[Column], bool]] = {
        "ordered_at": lambda c: c.time is not None,
        "net_amount": lambda c: c.number is not None and not c.number.is_whole,
        "customer": lambda c: 1 < c.distinct < 0.9 * c.rows and c.distinct > 0.02 * c.rows,
        "quantity": lambda c: c.number is not None and c.number.is_whole and c.distinct < 100,
    }
    for role, test in tests.items():
        column = next((column for column in free if test(column)), None)
        if column and role not in chosen:
            chosen[role] = column
            free.remove(column)
    return chosen
