"""Validation images that teach in turns: who learned from what, and who judges what when a bundle is calibrated."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from models.card import Bundle, KneeCard, of_kind, read_bundle
from tests.training import collections
from tests.training.test_training_cli import SIDE, tiny
from training import cli
from training.errors import DataFault, RunFault
from training.knee import commands, fit, judges
from training.knee.dataset import Radiographs, read
from training.parts import mark_of
from training.run import run_of, seeded
from training.split import Turn, split, taking_turns, turn_of
from training.start import Start
from training.together import KIN
from training.turns import facts_of_turns, refuse_start, turns_here, words_of

KIND = ["--kind", "phantom"]
LOOKS = ["--mirror", "--global-side", "48", "--patch-side", "32", "--half"]
PICTURES = np.random.default_rng(2).random((2, 1, SIDE, SIDE), dtype=np.float32)
ONE, TWO = Turn(1, 2), Turn(2, 2)


@pytest.mark.parametrize("words", ["3/2", "0/2", "1/1", "1", "one/two", "1/2/3", ""])
def test_what_is_no_turn_is_refused(words: str) -> None:
    with pytest.raises(DataFault, match="is no turn"):
        turn_of(words)


def patients() -> tuple[list[str], list[str], np.ndarray]:
    whose = [f"P{index % 100}" for index in range(300)]
    strata = [("normal", "benign", "malignant")[int(name[1:]) % 3] for name in whose]
    return whose, strata, np.random.default_rng(3).integers(0, 256, (300, 32), dtype=np.uint8)


def test_each_validation_image_keeps_out_of_one_turn_and_teaches_in_the_others() -> None:
    whose, strata, hashes = patients()
    parts = split(whose, strata, hashes)
    turns = [taking_turns(parts, Turn(number, 3), whose, strata, hashes) for number in (1, 2, 3)]
    assert sorted(index for turn in turns for index in turn.validation) == sorted(parts.validation)
    for turn in turns:
        assert turn.test == parts.test
        assert sorted(turn.train + turn.validation) == sorted(parts.train + parts.validation)
        assert not {whose[index] for index in turn.train} & {whose[index] for index in turn.validation}
        assert {strata[index] for index in turn.validation} == {"normal", "benign", "malignant"}
    hashes[turns[0].validation[0]] = hashes[turns[1].validation[0]]
    twins = taking_turns(parts, Turn(1, 3), whose, strata, hashes)
    assert turns[1].validation[0] in twins.dropped, "a near duplicate of what is kept out teaches nothing"
    with pytest.raises(DataFault, match="turn 12/12 holds images of less than two classes"):
        taking_turns(parts, Turn(12, 12), whose, strata, hashes)


def test_turns_do_not_depend_on_the_order_of_the_table() -> None:
    whose, strata, hashes = patients()
    turned = [list(reversed(whose)), list(reversed(strata)), hashes[::-1]]
    for turn in (ONE, TWO):
        mine = taking_turns(split(whose, strata, hashes), turn, whose, strata, hashes)
        other = taking_turns(split(*turned), turn, *turned)
        assert {whose[index] for index in mine.validation} == {turned[0][index] for index in other.validation}


class Joined(NamedTuple):
    """A bundle of three networks, of which two have learned from half of the validation part each; and each alone."""

    folder: Path
    bundle: Bundle[KneeCard]
    data: Radiographs
    apart: dict[str, Bundle[KneeCard]]


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    folder = tmp_path_factory.mktemp("turns")
    data = ["--data", str(collections.write(folder / "set", images=1920, side=SIDE))]
    runs, made = {"none": (), "1/2": ("--turn", "1/2"), "2/2": ("--turn", "2/2")}, {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(commands.RECIPES, "small", tiny(steps=3))
        patched.setattr(commands, "SIDE", SIDE)
        for seed, (name, turn) in enumerate(runs.items(), start=1):
            run, made[name] = str(folder / f"run{seed}"), folder / f"knee{seed}"
            assert cli.main(["fit", "knee", *data, "--out", run, "--seed", str(seed), *turn]) == 0
            assert cli.main(["export", "knee", *data, "--run", run, "--bundle", str(made[name]), *KIND, *LOOKS]) == 0
        join = ["--with", str(made["1/2"]), "--with", str(made["2/2"]), "--outlined-by", "2"]
        run, bundle = str(folder / "run1"), folder / "joined"
        assert cli.main(["export", "knee", *data, "--run", run, "--bundle", str(bundle), *KIND, *LOOKS, *join]) == 0
        assert cli.main(["calibrate", "knee", *data, "--bundle", str(bundle)]) == 0
        apart = {name: of_kind(read_bundle(path), KneeCard) for name, path in made.items()}
        yield Joined(folder, of_kind(read_bundle(bundle), KneeCard), read(folder / "set", SIDE), apart)


def told(bundle: Bundle[KneeCard], turns: list[str]) -> Bundle[KneeCard]:
    """The bundle with other words of turns."""
    return replace(bundle, card=replace(bundle.card, training={**bundle.card.training, "turns": list(turns)}))


def test_runs_and_cards_say_who_taught_each_network(joined: Joined) -> None:
    names = [np.array(joined.data.names)[list(joined.data.split(turn).validation)] for turn in (ONE, TWO)]
    words = [f"1/2 {mark_of(names[0])}", f"2/2 {mark_of(names[1])}"]
    training = joined.bundle.card.training
    assert training["turns"] == ["", *words]
    assert [run_of(joined.folder / f"run{seed}").get("turn") for seed in (1, 2, 3)] == [None, *words]
    assert "others_were_taught_elsewhere" not in training, "the same split withheld the same test images from all"
    with_turns = training["together_with"]
    assert isinstance(with_turns, list)
    assert [str(each).endswith(f" on {KIN}") for each in with_turns] == [True, True]
    one = joined.apart["1/2"].card.training
    assert one["turns"] == words[:1]
    assert str(one["command"]).endswith("--seed 2 --turn 1/2")
    assert "validation, turn 1/2 (the others train) " in str(one["split"])
    taught = [joined.data.names[index] for index in joined.data.split(ONE).train]
    assert one["taught_names_sha256"] == mark_of(taught)
    assert one["taught_names_sha256"] != joined.apart["none"].card.training["taught_names_sha256"]
    assert "turns" not in joined.apart["none"].card.training
    measured = joined.bundle.card.measured
    assert measured["validation_judged"] == judges.JUDGED_APART
    count = len(joined.data.split().validation)
    assert measured["validation_cases"] == measured["validation_strangeness_cases"] == count


def test_what_fit_keeps_out_is_what_its_turn_says(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that a training asks for are none of those that its networks are to judge."""
    asked: set[str] = set()

    class Watching(fit.Drawer):
        def __init__(self, data: Radiographs, indices: object, *others: object, **named: object) -> None:
            asked.update(data.names[index] for index in indices)  # type: ignore[attr-defined]
            super().__init__(data, indices, *others, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(fit, "Drawer", Watching)
    fit.train(joined.data, tiny(steps=3), joined.folder / "watched", turn=ONE)
    kept_out = {joined.data.names[index] for index in judges.of_validation(joined.bundle, joined.data)[0].indices}
    assert kept_out
    assert not asked & kept_out
    assert asked & set(joined.data.kept_out(TWO))
    assert not asked & {joined.data.names[index] for index in joined.data.split().test}


def answers(bundle: Bundle[KneeCard], role: str) -> dict[str, np.ndarray]:
    (judge,) = judges.whole(bundle, ())
    return (judge.whole if role == "global" else judge.patch).run(PICTURES)


@pytest.mark.parametrize("role", ["global", "patch"])
def test_each_image_is_judged_by_the_networks_that_have_not_learned_from_it(joined: Joined, role: str) -> None:
    jury = judges.of_validation(joined.bundle, joined.data)
    assert [judge.indices for judge in jury] == [joined.data.split(turn).validation for turn in (ONE, TWO)]
    none, *turns = (answers(joined.apart[name], role) for name in ("none", "1/2", "2/2"))
    for judge, turn, outlines in zip(jury, turns, (2, 1), strict=True):
        said = (judge.whole if role == "global" else judge.patch).run(PICTURES)
        both = {name: (none[name] + turn[name]) / 2.0 for name in ("class_logits", "mask_logits")}
        masks = both["mask_logits"] if outlines == 2 else none["mask_logits"]
        assert np.allclose(said["class_logits"], both["class_logits"], atol=2e-3)
        near = np.isclose(said["mask_logits"], masks, atol=2e-3)  # of equal pixels each runtime pools another
        assert near.mean() > 0.99, "2/2 only votes: --outlined-by 2"
        assert np.isclose(none["mask_logits"], both["mask_logits"], atol=2e-3).mean() < 0.5, (
            "or this would show nothing"
        )
        assert np.abs(none["class_logits"] - turn["class_logits"]).max() > 0.01, "nor would a mean"
        if role == "global":
            assert np.allclose(said["strangeness"], none["strangeness"], rtol=1e-2)


def test_how_strange_an_image_is_nobody_says_who_learned_from_it(joined: Joined) -> None:
    _, one, two = joined.bundle.card.training["turns"]  # type: ignore[misc]  # a list, as another test sees
    jury = judges.of_validation(told(joined.bundle, [one, two, ""]), joined.data)  # type: ignore[list-item]
    assert np.isfinite(jury[0].whole.run(PICTURES)["strangeness"]).all()
    assert np.isnan(jury[1].whole.run(PICTURES)["strangeness"]).all()


@pytest.mark.parametrize(
    ("turns", "outlined_by", "why"),
    [
        (["", "1/2 a", "2/3 b"], 0, r"turns of different counts \(1/2, 2/3\)"),
        (["1/2 a", "1/2 a", "2/2 b"], 2, "learned from the validation images of turn 2/2"),
        (["2/2 a"], 0, "learned from the validation images of turn 1/2"),
    ],
)
def test_a_jury_that_cannot_be_is_refused(turns: list[str], outlined_by: int, why: str) -> None:
    with pytest.raises(RunFault, match=why):
        judges.panels(turns, outlined_by)


def test_an_export_that_nobody_could_judge_is_refused(joined: Joined, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--data", str(joined.folder / "set"), "--run", str(joined.folder / "run2"), *KIND, *LOOKS]
    asked += ["--with", str(joined.folder / "knee3"), "--outlined-by", "1", "--bundle", str(joined.folder / "unjudged")]
    assert cli.main(["export", "knee", *asked]) == 2
    assert "Join one (--with) that has not, of fit --turn 2/2" in capsys.readouterr().err
    assert not (joined.folder / "unjudged").exists()


def test_validation_images_do_not_measure_networks_that_they_taught(
    joined: Joined, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(joined.folder / "set"), "--bundle", str(joined.folder / "joined")]
    assert cli.main(["evaluate", "knee", *data, "--part", "validation"]) == 2
    assert "joined have learned from the validation part (fit --turn)" in capsys.readouterr().err
    other = ["--other", str(joined.folder / "knee1")]
    assert cli.main(["compare", "knee", *data, *other, "--part", "validation"]) == 2
    assert "joined have learned from the validation part (fit --turn)" in capsys.readouterr().err


def without(data: Radiographs, name: str) -> Radiographs:
    """The set without one image."""
    kept = [place for place, each in enumerate(data.names) if each != name]
    arrays = {key: getattr(data, key)[kept] for key in ("numbers", "labels", "images", "masks", "hashes")}
    return replace(data, names=tuple(data.names[place] for place in kept), **arrays)


def test_of_a_set_that_has_changed_nobody_is_called_a_judge(joined: Joined) -> None:
    changed = without(joined.data, joined.data.kept_out(ONE)[0])
    with pytest.raises(RunFault, match="the set has changed since"):
        judges.of_validation(joined.bundle, changed)
    with pytest.raises(RunFault, match="the set has changed since"):
        judges.refuse_taught(joined.bundle, changed, "validation")
    with pytest.raises(RunFault, match="learned from other images than turn 1/2 of this set leaves"):
        facts_of_turns(words_of(ONE, joined.data.kept_out), [], changed.kept_out)


def test_a_set_that_has_changed_since_measures_nothing(
    joined: Joined, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A turn may be what taught the first network: that is no change."""
    monkeypatch.setattr(commands.evaluate, "examine", lambda *asked: sys.exit("measured"))
    asked = ["evaluate", "knee", "--data", str(joined.folder / "set"), "--part", "test", "--bundle"]
    for name in ("knee1", "knee2", "joined"):
        with pytest.raises(SystemExit, match="measured"):
            cli.main([*asked, str(joined.folder / name)])
    changed = without(joined.data, joined.data.names[joined.data.split().train[0]])
    monkeypatch.setattr(commands, "read", lambda folder, side: changed)
    for name in ("knee1", "knee2", "joined"):
        for command in (asked, ["calibrate", *asked[1:4], "--bundle"]):
            assert cli.main([*command, str(joined.folder / name)]) == 2
            assert f"{name} than those that this set lets teach" in capsys.readouterr().err
    with pytest.raises(RunFault, match="or other cases taught it"):
        fit.train(changed, tiny(steps=3), joined.folder / "run1")


def test_neither_bundle_is_measured_before_both_are_known_to_be_fit(
    joined: Joined, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands.evaluate, "examine", lambda *asked: sys.exit("measured"))
    asked = ["--data", str(joined.folder / "set"), "--part", "validation"]
    sides = ["--bundle", str(joined.folder / "knee1"), "--other", str(joined.folder / "joined")]
    assert cli.main(["compare", "knee", *asked, *sides]) == 2
    assert "joined have learned from the validation part (fit --turn)" in capsys.readouterr().err


def test_another_hospitals_set_has_taught_none_of_them(joined: Joined) -> None:
    others = replace(joined.data, names=tuple(f"other {name}" for name in joined.data.names))
    assert turns_here(joined.bundle.card.training, "", others.kept_out) == ()
    (judge,) = judges.of_validation(joined.bundle, others)
    assert judge.indices == others.split().validation
    judges.refuse_taught(joined.bundle, others, "validation")
    member = Start(joined.bundle.card, joined.folder / "joined")
    assert facts_of_turns("", [member], others.kept_out) == {}
    assert facts_of_turns(words_of(ONE, others.kept_out), [member], others.kept_out)["turns"][1:] == ["", "", ""]
    refuse_start(member, None, others.kept_out)


def test_what_begins_with_a_network_of_a_turn_keeps_the_same_images_out(joined: Joined) -> None:
    first, joint = (Start(bundle.card, joined.folder) for bundle in (joined.apart["1/2"], joined.bundle))
    refuse_start(first, ONE, joined.data.kept_out)
    for turn in (None, TWO):
        with pytest.raises(RunFault, match="Give --turn 1/2, or begin with a bundle that has seen none"):
            refuse_start(first, turn, joined.data.kept_out)
        refuse_start(joint, turn, joined.data.kept_out)  # its first network has seen none of the part
    with pytest.raises(RunFault, match="Give --turn 1/2"):
        fit.train(joined.data, tiny(steps=3), joined.folder / "late", start=first)
    assert not (joined.folder / "late").exists()


def test_a_run_goes_on_with_its_own_turn_only(joined: Joined) -> None:
    for turn in (None, TWO):
        with pytest.raises(RunFault, match="another recipe, budget, start or turn"):
            fit.train(joined.data, seeded(tiny(steps=3), 2), joined.folder / "run2", turn=turn)


def test_other_systems_take_no_turns_and_an_empty_one_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--data", str(tmp_path), "--out", str(tmp_path / "run"), "--turn"]
    assert cli.main(["fit", "limb", *asked, "1/2"]) == 2
    assert "fit limb has no --turn" in capsys.readouterr().err
    assert cli.main(["fit", "knee", *asked, ""]) == 2
    assert "'' is no turn" in capsys.readouterr().err
