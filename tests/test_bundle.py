"""A champion of an earlier version: what its bundle holds counts, what came later is today's."""

from pathlib import Path
from typing import Any

import pytest
import small_shop
from frozen import ROOT, params

from pipeline.registry.bundle import Scoring, scoring_of, with_decisions, with_sections
from pipeline.runtime.errors import ConfigError, ModelError
from pipeline.runtime.playbook import read_playbook, text_of

PARAMS = params()
METRICS = {"verdict": "model", "grade": "see the evaluation"}


def scoring(**sections: dict[str, Any]) -> Scoring:
    """The frozen parameters as a bundle keeps them, but for these keys; None removes a key."""
    kept = scoring_of(METRICS, small_shop.calibration(), PARAMS)
    for name, changes in sections.items():
        section = kept["params"][name]
        section |= changes
        kept["params"][name] = {k: v for k, v in section.items() if v is not None}
    return Scoring.model_validate(kept)


def test_a_bundle_keeps_every_parameter_under_its_name_and_gives_back_what_was_kept() -> None:
    kept = scoring()
    assert kept.params["reasons"]["cancelled"] == PARAMS.reasons.cancelled
    own = scoring(reasons={"cancelled": 0.123}, score={"capacity": 3})
    applied = with_sections(own, PARAMS)
    assert (applied.reasons.cancelled, applied.score.capacity) == (0.123, 3)
    assert with_sections(kept, PARAMS) == PARAMS


def test_a_parameter_that_came_after_the_champion_has_todays_value_and_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    early = scoring(
        reasons={"never_delivered": None, "critical": 0.77},
        score={"call_when": {**PARAMS.score.call_when.model_dump(), "overdue": False}},
        costs={"discount": 3},
    )
    del early.params["categories"], early.params["score"]["call_when"]["risk"]
    applied = with_sections(early, PARAMS)
    assert applied.reasons == PARAMS.reasons._replace(critical=0.77)
    assert applied.categories == PARAMS.categories
    assert applied.score.call_when == PARAMS.score.call_when.model_copy(update={"overdue": False})
    later, gone = capsys.readouterr().err.strip().splitlines()
    names = {"categories", "reasons.never_delivered", "score.call_when.risk"}
    assert set(later.partition(" came after")[0].split(": ")[-1].split(", ")) == names
    assert "costs.discount no longer exists" in gone


def test_a_section_that_was_kept_without_names_counts_as_long_as_it_has_todays_length() -> None:
    unnamed = scoring()
    unnamed.params["ipt"] = [*PARAMS.ipt._replace(last_gaps=5)]
    assert with_sections(unnamed, PARAMS).ipt == PARAMS.ipt._replace(last_gaps=5)
    unnamed.params["ipt"].pop()
    with pytest.raises(ModelError, match="E_MODEL_BROKEN scoring.json params.ipt"):
        with_sections(unnamed, PARAMS)


def test_the_decisions_of_today_are_written_over_those_of_the_champion() -> None:
    own = with_decisions(scoring(score={"capacity": 3}, reasons={"critical": 0.77}), PARAMS)
    assert own["params"]["score"]["capacity"] == PARAMS.score.capacity
    assert own["params"]["reasons"]["critical"] == 0.77


def test_a_playbook_of_an_earlier_version_is_completed_or_gives_way_to_the_projects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (ROOT / "playbook.yaml").read_text(encoding="utf-8")
    own = tmp_path / "playbook.yaml"
    owner = "account_manager: {en: account manager"
    own.write_text(whole.replace(owner, f"{owner} of ours").partition("\nreason_words:")[0])
    with pytest.raises(ConfigError, match="E_PLAYBOOK"):
        read_playbook(tmp_path)
    own.write_text(text_of(tmp_path, ROOT), encoding="utf-8")
    assert "differs in reason_words" in capsys.readouterr().err
    completed = read_playbook(tmp_path)
    assert completed.owners["account_manager"].en == "account manager of ours"
    assert completed.reason_words == read_playbook(ROOT).reason_words
    own.write_text(whole.replace("  - competitor\n", "").replace("competitor]", "boredom]"))
    for unusable in (own.read_bytes(), b"plays: []\n", b"{", b"\xff\xfe"):
        own.write_bytes(unusable)
        assert text_of(tmp_path, ROOT) == whole
        assert "the project's is used" in capsys.readouterr().err


def test_a_bundle_keeps_the_selected_scorer_of_each_forecast() -> None:
    names = ("timing", "value", "returning", "stake")
    measured = {name: {"selected": "model", "of": 1} for name in names}
    kept = scoring_of({**METRICS, **measured}, small_shop.calibration(), PARAMS)
    selected = Scoring.model_validate(kept).model_dump()["forecasts"]
    assert selected == dict.fromkeys(measured, {"selected": "model"})
