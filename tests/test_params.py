"""Parameters.

Whatever is wrong in params.yaml or a shop's file is refused by file, line and key, before anything
runs.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from frozen import PATH, ROOT, TEXT, params
from pydantic import ValidationError

from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import Params, load
from pipeline.runtime.yaml_file import misread, read_yaml


def project(folder: Path, edit: tuple[str, str] | None = None, shop: str = "") -> Path:
    """The frozen params.yaml with one text replaced, and the demo's own file."""
    text = TEXT
    if edit:
        assert edit[0] in text, f"params.yaml has no {edit[0]!r}"
        text = text.replace(*edit, 1)
    (folder / "shops").mkdir()
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    (folder / "shops" / "demo.yaml").write_text(shop, encoding="utf-8")
    return folder


def refusal(folder: Path, edit: tuple[str, str] | None = None, shop: str = "") -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        load(project(folder, edit, shop))
    assert raised.value.exit_code == 2
    return raised.value


def line_of(text: str) -> int:
    """Where the copy has this text."""
    return TEXT[: TEXT.index(text)].count("\n") + 1


def value(params: Params, dotted: str) -> Any:
    content: Any = params
    for key in dotted.split("."):
        content = getattr(content, key)
    return content


def test_a_shops_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    changed = load(project(tmp_path, shop="ipt:\n  last_gaps: 5\ncalibrate:\n  horizon_days: 28\n"))
    base = params()
    calibrate = base.calibrate.model_copy(update={"horizon_days": 28})
    update = {"shop": "demo", "ipt": base.ipt._replace(last_gaps=5), "calibrate": calibrate}
    assert changed == base.model_copy(update=update)


@pytest.mark.parametrize(
    ("shop", "place", "fix"),
    [
        (
            "# why\n\ntrain:\n  learning_rat: 2\n",
            "shops/demo.yaml:4 train.learning_rat",
            "did you mean learning_rate?",
        ),
        (
            "ipt:\n  late_sigma: 2\n",
            "shops/demo.yaml:2 ipt.late_sigma",
            "did you mean late_sigmas?",
        ),
        ("sla:\n  minr: 2\n", "shops/demo.yaml:2 sla.minr", "did you mean minor?"),
        ("\ntrian:\n  learning_rate: 2\n", "shops/demo.yaml:2 trian", "did you mean train?"),
        ("zzz: 1\n", "shops/demo.yaml:1 zzz", "remove the key"),
    ],
)
def test_a_mistyped_key_in_a_shops_file_is_named_with_its_line_and_the_nearest_key(
    shop: str, place: str, fix: str, tmp_path: Path
) -> None:
    refused = refusal(tmp_path, shop=shop)
    assert (refused.code, refused.place, refused.fix) == ("E_PARAM", place, fix)


@pytest.mark.parametrize(
    ("edit", "key", "meant"),
    [
        (("num_leaves: 7", "num_leavs: 7"), "train.num_leavs", "num_leaves"),
        (("own_gaps: 4", "own_gap: 4"), "ipt.own_gap", "own_gaps"),
        (("minor: 7", "minr: 7"), "sla.minr", "minor"),
        (("origins: 3", "origin: 3"), "calibrate.origin", "origins"),
    ],
)
def test_a_mistyped_key_is_named_as_it_was_typed_and_not_as_missing(
    edit: tuple[str, str], key: str, meant: str, tmp_path: Path
) -> None:
    refused = refusal(tmp_path, edit)
    assert (refused.place, refused.fix) == (
        f"params.yaml:{line_of(edit[0])} {key}",
        f"did you mean {meant}?",
    )


def test_a_mistyped_key_is_looked_for_in_the_file_that_has_it(tmp_path: Path) -> None:
    refused = refusal(tmp_path, ("num_leaves: 7", "num_leavs: 7"), shop="train:\n  seed: 8\n")
    assert refused.place == f"params.yaml:{line_of('num_leaves: 7')} train.num_leavs"


@pytest.mark.parametrize("word", ["no", "on", "yes", "off"])
def test_a_word_is_no_number(word: str, tmp_path: Path) -> None:
    assert (
        refusal(tmp_path, ("seed: 7", f"seed: {word}")).place
        == f"params.yaml:{line_of('seed: 7')} simulate.seed"
    )


@pytest.mark.parametrize("text", ["012", "00", "-07", '"012"'])
def test_a_number_with_a_zero_in_front_is_refused(text: str, tmp_path: Path) -> None:
    refused = refusal(tmp_path, ("threads: 2", f"threads: {text}"))
    assert refused.place == f"params.yaml:{line_of('threads: 2')} engine.threads"


ODD = (True, False, "012", 10**30, -(10**30), 10**5000, 1e308, float("nan"), "9999-12-31", "",
       [[[]]], {"a": 1}, None)  # fmt: skip


def leaves(content: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every key with a value, in the section that holds it."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value)
        yield content, key


def test_no_odd_value_of_any_key_is_more_than_refused_and_no_number_is_read_from_another_type() -> (
    None
):
    content = read_yaml(PATH, ROOT)
    refused = 0
    for section, key in list(leaves(content)):
        kept = section[key]
        for odd in ODD:
            section[key] = odd
            try:
                read = Params.model_validate(content)
            except ValidationError:
                refused += 1
                continue
            number = isinstance(kept, int | float) and not isinstance(kept, bool)
            if number and odd in (True, False, "012", 10**30, 1e308):
                assert list(misread(content, read)), (key, odd)
        section[key] = kept
    assert refused > 1000


def test_a_shop_without_a_file_of_its_own_is_refused_for_the_line_of_params_yaml(
    tmp_path: Path,
) -> None:
    folder = project(tmp_path, ("threads: 2", "threads: true"))
    (folder / "shops" / "demo.yaml").unlink()
    (folder / "sources").mkdir()
    (folder / "sources" / "demo.sql").touch()
    with pytest.raises(ConfigError, match="params.yaml:.* engine.threads — a number is needed"):
        load(folder)


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        (("last_gaps: 8", "last_gaps: eight"), "ipt.last_gaps"),
        (("last_gaps: 8", "last_gaps: 8.5"), "ipt.last_gaps"),
        (("last_gaps: 8", "last_gaps: [8]"), "ipt.last_gaps"),
        (("last_gaps: 8", "last_gaps:"), "ipt.last_gaps"),
        (("horizon_days: auto", "horizon_days: -3"), "calibrate.horizon_days"),
        (("horizon_days: auto", "horizon_days: .nan"), "calibrate.horizon_days"),
        (("horizon_days: auto", "horizon_days: often"), "calibrate.horizon_days"),
        (("prior_weight: 2", "prior_weight: .inf"), "ipt.prior_weight"),
        (("currency: EUR", "currency: euro"), "ingest.currency"),
        (('end_date: "2026-01-01"', 'end_date: "2026-13-01"'), "simulate.end_date"),
        (('end_date: "2026-01-01"', "end_date: 2026-01-01"), "simulate.end_date"),
        (("learning_rate: 0.06", "learning_rate: no"), "train.learning_rate"),
        (("seed: 7", "seed: 1e3"), "simulate.seed"),
    ],
)
def test_a_value_of_the_wrong_type_or_size_is_named_with_its_line(
    edit: tuple[str, str], key: str, tmp_path: Path
) -> None:
    refused = refusal(tmp_path, edit)
    assert refused.place == f"params.yaml:{line_of(edit[0])} {key}"


def test_a_rule_of_several_keys_is_one_sentence(tmp_path: Path) -> None:
    refused = refusal(tmp_path, ("    monthly:\n      ipt_days: 30\n      days: 1460\n", ""))
    assert refused.rule == "presets has no `monthly`, which `preset` names"


def test_a_wrong_value_in_a_shops_file_is_looked_for_there(tmp_path: Path) -> None:
    refused = refusal(tmp_path, shop="engine:\n  threads: 2\nipt:\n  last_gaps: eight\n")
    assert refused.place == "shops/demo.yaml:4 ipt.last_gaps"


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    refused = refusal(tmp_path, ("  own_quantile:", "  # own_quantile:"))
    assert (refused.place, refused.fix) == (
        f"params.yaml:{line_of('ipt:')} ipt.own_quantile",
        "add the key",
    )


@pytest.mark.parametrize(
    "edit",
    [
        ("late_clip_high: 2.5", "late_clip_high: 5.0"),
        ("late_clip_low: 1.25", "late_clip_low: 2.0"),
        ("late_clip_low: 1.25", "late_clip_low: 2.6"),
        ("lapse_clip_low: 2.0", "lapse_clip_low: 5.1"),
        ("lapse_sigmas: 2.0", "lapse_sigmas: 0.5"),
        ("lapse_floor_days: 14", "lapse_floor_days: 2"),
    ],
)
def test_late_must_come_before_lapse(edit: tuple[str, str], tmp_path: Path) -> None:
    assert "ipt: " in refusal(tmp_path, edit).rule


@pytest.mark.parametrize(
    "shop", ["ipt:\n  last_gaps: 8\n  last_gaps: 9\n", "ipt: {last_gaps: 8, last_gaps: 8}\n"]
)
def test_a_key_given_twice_is_refused(shop: str, tmp_path: Path) -> None:
    refused = refusal(tmp_path, shop=shop)
    assert refused.rule == "key given twice"
    assert refused.place == f"shops/demo.yaml:{1 if '{' in shop else 3} last_gaps"


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.getcwd []", "!!python/name:os.system", "!unknown 3"]
)
def test_yaml_that_would_run_code_or_is_not_plain_is_refused(tag: str, tmp_path: Path) -> None:
    refused = refusal(tmp_path, shop=f"engine:\n  threads: {tag}\n")
    assert refused.place == "shops/demo.yaml:2"
    assert refused.rule.startswith("not plain YAML")


@pytest.mark.parametrize(
    "shop",
    [
        "train: " + "[" * 5000,
        f"train: {'9' * 5000}",
        "a: 2026-13-45\n",
        "train: [\n",
        "- 3\n",
        "train: 3\n",
        "train:\n",
        "a: b: c\n",
        "\tengine: 1\n",
    ],
)
def test_a_shops_file_of_another_shape_is_refused(shop: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, shop=shop).place.startswith("shops/demo.yaml")


def test_a_shop_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, ("shop: demo", "shop: nowhere")).place == "shops/nowhere.yaml"


@pytest.mark.parametrize(
    ("line", "near"),
    [("../demo", "demo"), ("Demo", "demo"), ("My-Shop 2", "my_shop_2"), ("2024", "shop_2024")],
)
def test_a_shop_with_an_odd_name_is_refused_with_the_rule_and_a_name_that_fits(
    line: str, near: str, tmp_path: Path
) -> None:
    refused = refusal(tmp_path, ("shop: demo", f"shop: {line}"))
    assert refused.rule == ("the name of a shop has only a-z, 0-9 and _, and begins with a letter")
    assert refused.fix == f"call it {near}, and its files too"


@pytest.mark.parametrize("line", ["shop: [demo]", "shop:", "shop: ---", "# no shop"])
def test_a_line_that_names_no_shop_is_refused_with_those_there_are(
    line: str, tmp_path: Path
) -> None:
    refused = refusal(tmp_path, ("shop: demo", line))
    assert (refused.rule, refused.fix) == ("names no shop", "one of: demo")


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        (("bands: [0.3, 0.6]", "bands: [0.6, 0.3]"), "evaluate.bands"),
        (("threads: 2", "threads: 100000"), "engine.threads"),
        (("bootstrap: 100", "bootstrap: 1000000000000"), "evaluate.bootstrap"),
        (("customers: 11000", "customers: 1000000000000"), "simulate.customers"),
        (
            (
                "closed: []",
                "closed: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]",
            ),
            "closed",
        ),
        (("lines_per_partition: 250000", "lines_per_partition: 1"), "engine.lines_per_partition"),
        (("capacity: 0.1\n  hold", "capacity: 1.5\n  hold"), "score.capacity"),
        (("num_leaves: [2, 31]", "num_leaves: [31, 2]"), "tune"),
        (("default_ipt_days: null", "default_ipt_days: 1.0e9"), "calibrate.default_ipt_days"),
    ],
)
def test_an_absurd_value_is_refused_before_any_work(
    edit: tuple[str, str], key: str, tmp_path: Path
) -> None:
    assert refusal(tmp_path, edit).place.endswith(f" {key}")


@pytest.mark.parametrize("key", ["owners", "actions"])
def test_a_shops_file_of_an_earlier_version_is_shown_the_new_place(
    key: str, tmp_path: Path
) -> None:
    refused = refusal(tmp_path, shop=f"score:\n  {key}: {{core_care: account manager}}\n")
    assert refused.place == f"shops/demo.yaml:2 score.{key}"
    assert "playbook.yaml" in refused.fix


def test_parameters_that_are_no_text_are_refused(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "shops" / "demo.yaml").write_bytes(b"train:\n  seed: 8 # \xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8 text from byte 19"):
        load(folder)


def test_a_key_that_is_no_word_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, shop="{a: b}: 1\n").rule == "a key that is not a word"


def test_a_shops_file_does_not_choose_the_shop(tmp_path: Path) -> None:
    assert refusal(tmp_path, shop="shop: demo\n").rule == "the shop is chosen in params.yaml"


@pytest.mark.parametrize(
    ("edit", "key", "meant"),
    [
        (("max_amount: 1000000", "max_amount: 1e3"), "ingest.max_amount", 1000),
        (("required: false", "required: no"), "track.required", False),
        (("required: false", "required: on"), "track.required", True),
        (("uri: null", "uri: ~"), "track.uri", None),
        (('hold_out_seed: "1"', 'hold_out_seed: "012"'), "score.hold_out_seed", "012"),
    ],
)
def test_what_yaml_spells_in_several_ways_is_what_was_meant(
    edit: tuple[str, str], key: str, meant: object, tmp_path: Path
) -> None:
    assert value(load(project(tmp_path, edit)), key) == meant


def test_an_experiment_changes_one_line_of_params_yaml(tmp_path: Path) -> None:
    from dvc.utils.hydra import apply_overrides

    before = (ROOT / "params.yaml").read_text(encoding="utf-8")
    copy = tmp_path / "params.yaml"
    copy.write_text(before, encoding="utf-8")
    # what `dvc exp run -S` does to the file
    apply_overrides(str(copy), ["train.max_rounds=501"])
    written = copy.read_text(encoding="utf-8").splitlines()
    changed = [line for line in written if line not in before.splitlines()]
    assert [line.split("#")[0].strip() for line in changed] == ["max_rounds: 501"], (
        "params.yaml is not as DVC writes it: one line per list entry, texts up to column 80"
    )
    assert len(written) == len(before.splitlines())


def test_parameters_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        params().shop = "other"


def test_a_person_sees_one_line_and_exit_code_2(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from pipeline import __main__; "
    code += "from pipeline.runtime import runner; "
    code += f"runner.run_stage.__defaults__ = (Path({str(tmp_path)!r}),); "
    code += "sys.argv = ['corekeep', 'stage', 'label']; __main__.main()"
    project(tmp_path, shop="zzz: 1\n")
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("E_PARAM shops/demo.yaml:1 zzz")
