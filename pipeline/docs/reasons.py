"""The reasons to leave, docs/reasons.md: made from the reason files and params.yaml."""

import re
from collections.abc import Mapping
from inspect import cleandoc

from features.settings import Sla
from models.reasons.catalogue import CATALOGUE, Reason
from models.reasons.context import fade
from models.reasons.settings import ReasonRules
from models.settings import SMALLEST_CELL
from pipeline.docs.handbook import rule_text, shown
from pipeline.docs.markdown import table
from pipeline.runtime.resources import read_text


def _section(reason: Reason, now: Mapping[str, str], why: Mapping[str, str]) -> str:
    rule = cleandoc(str(reason.kernel.__doc__))
    keys = [key for key in dict.fromkeys(re.findall(r"{(\w+)}", rule)) if key in why]
    needs = " or ".join(" and ".join(f"`{need}`" for need in group) for group in reason.needs)
    facts = ", ".join(f"`{reason.name}_{fact}`" for fact in reason.facts)
    parts = [f"## {reason.name}", reason.title.strip(), rule_text(rule).format(**now)]
    if keys:
        rows = [(f"`reasons.{key}`", now[key], why[key]) for key in keys]
        parts.append(table("parameter, value, reason", rows))
    parts += [f"* Needs {needs}.", f"* Facts: {facts}.", f"* Cannot see: {reason.blind}"]
    return "\n\n".join(parts[:-3]) + "\n\n" + "\n".join(parts[-3:])


def reasons_markdown(rules: ReasonRules, sla: Sla, why: Mapping[str, str]) -> str:
    """Return docs/reasons.md; `why`: the comment beside each key of the section `reasons`."""
    now = {key: shown(value) for key, value in (sla._asdict() | rules._asdict()).items()}
    bands = [(f"`reasons.{key}`", now[key], why[key]) for key in rules._fields[:7]]
    head = read_text(__file__, "reasons.md").format(
        bands=table("parameter, value, reason", bands),
        least=SMALLEST_CELL,
        fade=rule_text(cleandoc(str(fade.__doc__))).format(**now),
    )
    return "\n\n".join([head.rstrip(), *(_section(each, now, why) for each in CATALOGUE)]) + "\n"
