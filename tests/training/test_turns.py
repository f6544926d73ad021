"""Validation images that teach in turns: who learned from what, and who judges what when a bundle is calibrated."""

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
from training.knee import commands, judges
from training.knee.dataset import Radiographs, read
from training.parts import taught_by
from training.split import Turn, split, taking_turns, turn_of

KIND = ["--kind", "phantom"]
PICTURES = np.random.default_rng(2).random((2, 1, SIDE, SIDE), dtype=np.float32)


@pytest.mark.parametrize("words", ["3/2", "0/2", "1/1", "1", "one/two", "1/2/3", ""])
def test_what_is_no_turn_is_refused(words: str) -> None:
    with pytest.raises(DataFault, match="is no turn"):
        turn_of(words)


def test_each_validation_image_keeps_out_of_one_turn_and_teaches_in_the_others() -> None:
    whose = [f"P{index % 100}" for index in range(300)]
    strata = [("normal", "benign", "malignant")[int(name[1:]) % 3] for name in whose]
    hashes = np.random.default_rng(3).integers(0, 256, (300, 32), dtype=np.uint8)
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
    with pytest.raises(DataFault, match="too few for 40 turns"):
        taking_turns(parts, Turn(1, 40), whose, strata, hashes)


class Joined(NamedTuple):
    """A bundle of three networks, of which two have learned from half of the validation part each; and each alone."""

    folder: Path
    bundle: Bundle[KneeCard]
    data: Radiographs
    apart: dict[str, Bundle[KneeCard]]


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Joined:
    folder = tmp_path_factory.mktemp("turns")
    data = ["--data", str(collections.write(folder / "set", images=960, side=SIDE))]
    runs, made = {"none": (), "1/2": ("--turn", "1/2"), "2/2": ("--turn", "2/2")}, {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(commands.RECIPES, "small", tiny(steps=3))
        patched.setattr(commands, "SIDE", SIDE)
        for seed, (name, turn) in enumerate(runs.items(), start=1):
            run, made[name] = str(folder / f"run{seed}"), folder / f"knee{seed}"
            assert cli.main(["fit", "knee", *data, "--out", run, "--seed", str(seed), *turn]) == 0
            assert cli.main(["export", "knee", *data, "--run", run, "--bundle", str(made[name]), *KIND]) == 0
        join = ["--with", str(made["1/2"]), "--with", str(made["2/2"]), "--outlined-by", "2"]
        run, bundle = str(folder / "run1"), folder / "joined"
        assert cli.main(["export", "knee", *data, "--run", run, "--bundle", str(bundle), *KIND, *join]) == 0
        assert cli.main(["calibrate", "knee", *data, "--bundle", str(bundle)]) == 0
        apart = {name: of_kind(read_bundle(path), KneeCard) for name, path in made.items()}
        yield Joined(folder, of_kind(read_bundle(bundle), KneeCard), read(folder / "set", SIDE), apart)


def test_cards_say_who_taught_each_network(joined: Joined) -> None:
    training = joined.bundle.card.training
    assert training["turns"] == ["", "1/2", "2/2"]
    assert training["others_were_taught_elsewhere"] is True
    one = joined.apart["1/2"].card.training
    assert one["turns"] == ["1/2"]
    assert str(one["command"]).endswith("--seed 2 --turn 1/2")
    assert "validation, turn 1/2 (the others train) " in str(one["split"])
    names = [joined.data.names[index] for index in joined.data.split(Turn(1, 2)).train]
    assert one["taught_names_sha256"] == taught_by(names)["taught_names_sha256"]
    assert one["taught_names_sha256"] != joined.apart["none"].card.training["taught_names_sha256"]
    assert "turns" not in joined.apart["none"].card.training
    measured = joined.bundle.card.measured
    assert measured["validation_judged"] == judges.JUDGED_APART
    assert measured["validation_cases"] == len(joined.data.split().validation)


def answers(bundle: Bundle[KneeCard], role: str) -> dict[str, np.ndarray]:
    (judge,) = judges.whole(bundle, ())
    return (judge.whole if role == "global" else judge.patch).run(PICTURES)


@pytest.mark.parametrize("role", ["global", "patch"])
def test_each_image_is_judged_by_the_networks_that_have_not_learned_from_it(joined: Joined, role: str) -> None:
    jury = judges.of_validation(joined.bundle, joined.data)
    assert [judge.indices for judge in jury] == [joined.data.split(Turn(n, 2)).validation for n in (1, 2)]
    none, *turns = (answers(joined.apart[name], role) for name in ("none", "1/2", "2/2"))
    for judge, turn, outlines in zip(jury, turns, (2, 1), strict=True):
        said = (judge.whole if role == "global" else judge.patch).run(PICTURES)
        both = {name: (none[name] + turn[name]) / 2.0 for name in ("class_logits", "mask_logits")}
        masks = both["mask_logits"] if outlines == 2 else none["mask_logits"]
        assert np.allclose(said["class_logits"], both["class_logits"], atol=1e-4)
        near = np.isclose(said["mask_logits"], masks, atol=1e-3)  # of equal pixels each runtime pools another
        assert near.mean() > 0.99, "2/2 only votes: --outlined-by 2"
        assert np.isclose(none["mask_logits"], both["mask_logits"], atol=1e-3).mean() < 0.5, (
            "or this would show nothing"
        )
        assert np.abs(none["class_logits"] - turn["class_logits"]).max() > 0.01, "or a mean would show nothing"
        if role == "global":
            assert np.allclose(said["strangeness"], none["strangeness"], rtol=1e-3)
            assert judge.knows_strangers


def test_how_strange_an_image_is_nobody_says_who_learned_from_it(joined: Joined) -> None:
    turned = replace(joined.bundle.card, training={**joined.bundle.card.training, "turns": ["1/2", "2/2", ""]})
    jury = judges.of_validation(replace(joined.bundle, card=turned), joined.data)
    assert [judge.knows_strangers for judge in jury] == [True, False]
    assert np.isnan(jury[1].whole.run(PICTURES)["strangeness"]).all()
    assert np.isfinite(jury[0].whole.run(PICTURES)["strangeness"]).all()


@pytest.mark.parametrize(
    ("turns", "why"),
    [(["", "1/2", "2/3"], "turns of different counts"), (["1/2", "1/2", "2/2"], "have learned from turn 2/2")],
)
def test_a_jury_that_cannot_be_is_refused(joined: Joined, turns: list[str], why: str) -> None:
    card = replace(joined.bundle.card, training={**joined.bundle.card.training, "turns": turns})
    with pytest.raises(RunFault, match=why):
        judges.of_validation(replace(joined.bundle, card=card), joined.data)


def test_validation_images_do_not_measure_networks_that_they_taught(
    joined: Joined, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(joined.folder / "set"), "--bundle", str(joined.folder / "joined")]
    assert cli.main(["evaluate", "knee", *data, "--part", "validation"]) == 2
    assert "have learned from the validation part (fit --turn)" in capsys.readouterr().err
    other = ["--other", str(joined.folder / "knee1")]
    assert cli.main(["compare", "knee", *data, *other, "--part", "validation"]) == 2
    assert "have learned from the validation part (fit --turn)" in capsys.readouterr().err


def test_other_systems_take_no_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--data", str(tmp_path), "--out", str(tmp_path / "run"), "--turn", "1/2"]
    assert cli.main(["fit", "limb", *asked]) == 2
    assert "fit limb has no --turn" in capsys.readouterr().err
