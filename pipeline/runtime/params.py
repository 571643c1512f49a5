"""The parameters: params.yaml merged with the file of the chosen shop, and checked."""

import re
from pathlib import Path

from pydantic import ValidationError, field_validator, model_validator

from features.settings import CategoryRules, IptRules, Sla, Windows
from models.lifecycle.limits import Limits
from models.reasons.settings import ReasonRules
from models.settings import Boosting, Costs, Tune
from pipeline.runtime.demo_section import Simulate
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.sections import (
    WEEKDAYS,
    Calibrate,
    ClosedDay,
    Engine,
    Evaluate,
    Ingest,
    Lists,
    Outcomes,
    Preflight,
    Privacy,
    Report,
    Score,
    Section,
    Track,
)
from pipeline.runtime.yaml_file import check_meaning, merged, place_of, read_yaml, refusal


class Params(Section):
    """All of params.yaml."""

    shop: str
    simulate: Simulate
    ingest: Ingest
    engine: Engine
    ipt: IptRules
    sla: Sla
    windows: Windows
    closed: list[ClosedDay]
    calibrate: Calibrate
    assign: Limits
    categories: CategoryRules
    reasons: ReasonRules
    train: Boosting
    tune: Tune
    costs: Costs
    evaluate: Evaluate
    score: Score
    outcomes: Outcomes
    privacy: Privacy
    lists: Lists
    preflight: Preflight
    report: Report
    track: Track

    @field_validator("closed")
    @classmethod
    def _is_open_on_a_weekday(cls, value: list[str]) -> list[str]:
        if set(WEEKDAYS) <= set(value):
            raise ValueError("all seven weekdays: no day would count as absence")
        return value

    @model_validator(mode="after")
    def _late_comes_before_lapse(self) -> "Params":
        ipt = self.ipt
        if ipt.late_clip_low > ipt.late_clip_high or ipt.lapse_clip_low > ipt.lapse_clip_high:
            raise ValueError("ipt: a clip's low end is above its high end")
        rule = "a customer is overdue before they have lapsed"
        if ipt.late_clip_high >= ipt.lapse_clip_high or ipt.late_clip_low >= ipt.lapse_clip_low:
            raise ValueError(f"ipt: late_clip_* must be below lapse_clip_*: {rule}")
        if ipt.late_sigmas > ipt.lapse_sigmas or ipt.late_floor_days > ipt.lapse_floor_days:
            raise ValueError(f"ipt: late_* must not be above lapse_*: {rule}")
        return self


SHOP_NAME = "[a-z][a-z0-9_]*"


def require_shop(name: object, place: str, root: Path) -> None:
    """Raise ConfigError for a name that no shop may have, or that no shop has."""
    files = [*(root / "shops").glob("*.yaml"), *(root / "sources").glob("*.sql")]
    names = sorted({path.stem for path in files})
    known = f"one of: {', '.join(name for name in names if re.fullmatch(SHOP_NAME, name))}"
    text = str(name) if isinstance(name, str | int) else ""
    near = re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")
    if not near:
        raise ConfigError("E_SHOP", place, "names no shop", known)
    if name != text or not re.fullmatch(SHOP_NAME, text):
        near = near if near[0].isalpha() else f"shop_{near}"
        rule = "the name of a shop has only a-z, 0-9 and _, and begins with a letter"
        raise ConfigError("E_SHOP", place, rule, f"call it {near}, and its files too")
    if text not in names:
        fix = f"{known}; or `corekeep init FILES --shop {text}`"
        raise ConfigError("E_SHOP", f"shops/{text}.yaml", "there is no such shop", fix)


def require_source(shop: str, root: Path) -> None:
    """Raise ConfigError for a shop without SQL."""
    if not (root / "sources" / f"{shop}.sql").exists():
        fix = f"`corekeep init FILES --shop {shop}` writes it; or map the files yourself: README.md"
        rule = "the shop has no SQL that maps its raw files to the table orders"
        raise ConfigError("E_SHOP", f"sources/{shop}.sql", rule, fix)


def load(root: Path, shop: str | None = None) -> Params:
    """Return the validated parameters of a shop: by default the one that params.yaml chooses.

    A shop without a file in shops/ has the parameters of params.yaml. Raises ConfigError with file,
    line, key and the nearest known key.
    """
    base_path = root / "params.yaml"
    base = read_yaml(base_path, root)
    if shop is None:
        chosen = base.get("shop")
        require_shop(chosen, f"params.yaml:{place_of(base_path, ['shop'])[1]} shop", root)
        shop = str(chosen)
    base["shop"] = shop
    shop_path = root / "shops" / f"{shop}.yaml"
    files = [path for path in (base_path, shop_path) if path.exists()]
    over = read_yaml(shop_path, root) if shop_path in files else {}
    if "shop" in over:
        place = f"{shop_path.relative_to(root)}:1 shop"
        raise ConfigError("E_PARAM", place, "the shop is chosen in params.yaml", "remove the key")
    written = {**merged(base, over), "shop": shop}
    try:
        params = Params.model_validate(written)
    except ValidationError as error:
        raise refusal(root, files, Params, error) from None
    check_meaning(root, files, written, params)
    return params
