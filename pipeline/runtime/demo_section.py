"""The section `simulate` of params.yaml: the simulated shop."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from features.settings import Positive
from models.settings import Count, Share
from pipeline.runtime.sections import Chance, Date, Section

PresetName = Literal["weekly", "monthly", "yearly"]


class Preset(Section):
    """A preset of the simulated shop: the median IPT, and the length of the history."""

    ipt_days: Positive
    days: Annotated[int, Field(ge=30, le=36500)]


class Simulate(Section):
    """The simulated shop and its ground truth. Triples are for minor, major, critical."""

    seed: Annotated[int, Field(ge=0)]
    customers: Count
    customers_per_block: Count
    preset: PresetName
    presets: dict[PresetName, Preset]
    end_date: Date  # exclusive
    ipt_log_sd: Positive
    gamma_shape: tuple[Positive, Positive]
    season_amplitude: Chance
    season_peak: Annotated[int, Field(ge=0, le=365)]
    spend_log_sd: Positive
    expectation_met: Share
    cutoff_share: Share
    cutoff_kept: Share
    convert_base: float
    convert_expectations_met: float
    convert_cutoff_missed: float
    convert_touch: float
    further_line: Share
    early_growth: Share
    first_facets: Share
    variety: tuple[Positive, Positive]
    mishap_minor: Annotated[Share, Field(le=0.5)]
    mishap_major: Annotated[Share, Field(le=0.5)]
    critical_share: Share
    complain_minor: Share
    complain_major: Share
    repair_days: tuple[Positive, Positive, Positive]
    repair_log_sd: Positive
    never_repaired: Share
    patience_days: tuple[Positive, Positive, Positive]
    defect_returned: Share
    other_returned: Share
    core_purchases: Annotated[int, Field(ge=2)]
    core_days: Count
    core_gap_ipts: Positive
    core_probation: Count
    hazard_first: Chance
    hazard_first_failed: Chance
    hazard_early: Chance
    hazard_early_minor: Chance
    hazard_early_major: Chance
    early_fixed_factor: Share
    hazard_core: Chance
    hazard_core_minor_fixed: Chance
    hazard_service: Chance
    hazard_unrepaired: Chance
    hazard_competitor: Chance
    hazard_boredom: Chance
    competitor_events: Annotated[int, Field(ge=1, le=1000)]
    competitor_days: Count
    competitor_exposed: Share
    competitor_shrink: Positive
    boredom_run: Positive
    boredom_width: Positive
    treatment_from: Chance
    treatment_share: Share
    treatment_factor: Share
    stated_answer: Share
    stated_true: Share
    winback_per_day: Positive
    winback_reason_factor: Positive
    do_not_contact: Share
    profiling_objection: Share

    @model_validator(mode="after")
    def _has_its_preset(self) -> Self:
        if self.preset not in self.presets:
            raise ValueError(f"presets has no `{self.preset}`, which `preset` names")
        return self

    @property
    def timing(self) -> Preset:
        """The preset that is chosen."""
        return self.presets[self.preset]
