"""Networks that answer together: the mean of all, a card that names them, and what may not be joined."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from models.card import FileEntry, read_bundle
from tests.training import volumes
from tests.training.test_begun_training import IMAGE, SHIPPED, TINY, shipped
from training import cli
from training.errors import RunFault
from training.export import export
from training.hand.nets import DeepLab
from training.hand.recipe import RECIPES as HAND
from training.hand.serving import Served as ServedHand
from training.knee.commands import refuse_voters
from training.knee.nets import SegUNet
from training.knee.recipe import RECIPES as KNEE
from training.knee.serving import Served as ServedKnee
from training.knee.serving import ServeSpec
from training.limb.recipe import RECIPES as LIMB
from training.run import folded, halved
from training.start import Start, restore, unseen, weights_of
from training.together import alike, facts_of_members, networks_of

TAUGHT = ("data", "split", "taught_names_sha256")


def logits(bundle: Path) -> Any:
    return onnxruntime.InferenceSession(bundle / "net.onnx").run(["mask_logits"], {"image": IMAGE})[0]


def test_what_is_exported_together_answers_with_the_mean_and_a_training_goes_on_from_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(LIMB, "small", TINY)
    data = ["--data", str(volumes.write(tmp_path / "set", [volumes.case(number) for number in range(12)]))]
    one, two, other, both, again = (tmp_path / name for name in ("one", "two", "other", "both", "again"))
    for seed, bundle in (("1", one), ("2", two), ("3", other)):
        run = str(tmp_path / f"run{seed}")
        assert cli.main(["fit", "limb", *data, "--out", run, "--seed", seed]) == 0
        assert cli.main(["export", "limb", *data, "--run", run, "--bundle", str(bundle), "--kind", "phantom"]) == 0
    joined = ["export", "limb", *data, "--run", str(tmp_path / "run2"), "--kind", "phantom", "--bundle"]
    assert cli.main([*joined, str(both), "--with", str(one)]) == 0

    mean = (logits(one) + logits(two)) / 2.0
    assert np.abs(logits(one) - logits(two)).max() > 0.05, "or a mean would show nothing"
    assert np.allclose(logits(both), mean, atol=1e-4)

    training = read_bundle(both).card.training
    assert training["networks"] == 2
    (named,) = training["together_with"]  # type: ignore[misc]  # a list, as the next lines see
    assert named.startswith("limb 0.0.1 (net ")
    assert "osteon-train fit limb --preset small --data DIR --out RUN" in named
    assert named.endswith("on the same cases")
    assert unseen(training) == unseen({})
    assert "networks" not in read_bundle(one).card.training

    three, third = tmp_path / "three", str(tmp_path / "third")
    joined[joined.index(str(tmp_path / "run2"))] = str(tmp_path / "run3")
    assert cli.main([*joined, str(three), "--with", str(both)]) == 0
    assert np.allclose(logits(three), (logits(one) + logits(two) + logits(other)) / 3.0, atol=1e-4)
    assert cli.main([*joined, str(tmp_path / "twice"), "--with", str(three)]) == 2, "the run is the first of these"
    assert "is that of the run" in capsys.readouterr().err
    assert cli.main([*joined, str(tmp_path / "twice"), "--with", str(both), "--with", str(one)]) == 2
    assert f"network 1 of {one} is network 2 of {both}" in capsys.readouterr().err
    assert not (tmp_path / "twice").exists()
    grown = read_bundle(three).card.training
    assert grown["networks"] == 3
    assert str(grown["together_with"]).count("limb 0.0.1 (net ") == 2
    monkeypatch.setitem(LIMB, "small", replace(TINY, plan=replace(TINY.plan, steps=1, rate=1e-9)))
    assert cli.main(["fit", "limb", *data, "--out", third, "--start", str(both)]) == 0
    assert cli.main(["export", "limb", *data, "--run", third, "--bundle", str(again), "--kind", "phantom"]) == 0
    began = str(read_bundle(again).card.training["begun_with"])
    assert "the first of its 2 networks, trained on phantom images" in began
    likeness = [float(np.corrcoef(logits(again).ravel(), logits(each).ravel())[0, 1]) for each in (two, one)]
    assert likeness[0] > 0.99 > likeness[1], "the run's own network is the first, and the one that goes on"


def test_several_networks_of_knee_and_hand_answer_with_their_mean_and_are_strange_to_the_first() -> None:
    torch.manual_seed(5)
    image, spec = torch.rand((2, 1, 256, 256)), ServeSpec((256,), mirrored=True)
    first, second = (SegUNet(KNEE["small"].net).eval() for _ in range(2))
    with torch.no_grad():
        alone = [ServedKnee(net, spec).outputs(image) for net in (first, second)]
        both = ServedKnee(first, spec, others=[second]).outputs(image)
    for name in ("class_logits", "mask_logits", "distance_logits"):
        wanted = (getattr(alone[0], name) + getattr(alone[1], name)) / 2.0
        assert torch.allclose(getattr(both, name), wanted, atol=1e-5), name
    assert torch.equal(both.features, alone[0].features)
    with torch.no_grad():
        voting = ServedKnee(first, ServeSpec((256,), True, outlined_by=1), others=[second]).outputs(image)
    assert torch.equal(voting.class_logits, both.class_logits)
    assert torch.equal(voting.mask_logits, alone[0].mask_logits)
    assert torch.equal(voting.distance_logits, alone[0].distance_logits)
    assert torch.equal(voting.features, alone[0].features)

    recipe = HAND["small"]
    slices = torch.rand((1, recipe.net.channels, 64, 64))
    hands, tell = [DeepLab(recipe.net).eval() for _ in range(2)], torch.nn.Identity()
    with torch.no_grad():
        single = [ServedHand(net, tell, recipe.preprocess.own)(slices) for net in hands]  # type: ignore[arg-type]
        together = ServedHand(hands[0], tell, recipe.preprocess.own, others=hands[1:])(slices)  # type: ignore[arg-type]
    assert torch.allclose(together.mask_logits, (single[0].mask_logits + single[1].mask_logits) / 2.0, atol=1e-5)
    assert torch.equal(together.strangeness, single[0].strangeness)


def test_networks_of_real_images_are_never_called_phantom_and_other_cases_are_said() -> None:
    limb = marked(shipped("limb"), taught_names_sha256="0123456789abcdef")
    mine = {key: limb.card.training[key] for key in TAUGHT}
    with pytest.raises(RunFault, match="give --kind real"):
        facts_of_members([limb], mine, "phantom")
    assert facts_of_members([], mine, "phantom") == {}
    others = {**mine, "taught_names_sha256": "fedcba9876543210"}
    same, other = (facts_of_members([limb], told, "real") for told in (mine, others))
    assert "others_were_taught_elsewhere" not in same
    assert str(limb.card.training["split"]) in str(other["together_with"])
    assert unseen(other).endswith("what taught the networks that answer with it, only their cards say")


def test_what_begun_with_tells_already_is_not_told_of_each_member_again() -> None:
    limb = marked(shipped("limb"), begun_with="the weights of A, real; that began with the weights of B, real")
    limb = marked(limb, together_with=None)
    mine = {
        **limb.card.training,
        "begun_with": f"the weights of limb, real; that began with {limb.card.training['begun_with']}",
    }
    for told, ends in ((mine, "; what that began with, begun_with tells"), ({**mine, "begun_with": ""}, "B, real")):
        (words,) = facts_of_members([limb], told, "real")["together_with"]  # type: ignore[misc]  # a list
        assert words.endswith(ends)
        assert ("that began with the weights of" in words) == (ends == "B, real")


def test_what_a_card_does_not_say_of_its_teachers_is_said_to_be_unknown() -> None:
    """As many patients, split alike, need not be the same ones; and what a member began with has taught it too."""
    limb = shipped("limb")
    untold = marked(limb, taught_names_sha256=None)
    mine = {**limb.card.training, "taught_names_sha256": "0123456789abcdef"}
    assert facts_of_members([untold], mine, "real")["others_were_taught_elsewhere"] is True
    begun = marked(limb, taught_names_sha256="0123456789abcdef", begun_with="the weights of another hospital")
    facts = facts_of_members([begun], {**mine, "begun_with": "its own"}, "real")
    assert "; that began with the weights of another hospital" in str(facts["together_with"])
    assert unseen({**facts, "begun_with": "its own"}).endswith(
        "what taught the weights that it began with and the networks that answer with it, only their cards say"
    )


def marked(member: Start, **told: str | int | None) -> Start:
    """The same bundle whose card says so; None: does not say it."""
    training = {key: value for key, value in member.card.training.items() if key not in told}
    training |= {key: value for key, value in told.items() if value is not None}
    return replace(member, card=replace(member.card, training=training))


@pytest.mark.parametrize("alike", [(), (0, 1), (1, 2), (0, 2), (0, 1, 2)], ids=str)
def test_each_of_several_networks_is_given_back_where_the_exporter_keeps_equal_tensors_once(
    alike: tuple[int, ...], tmp_path: Path
) -> None:
    """A knee's stem comes from the images that taught it: equal in two trainings on the same, and no other's."""
    torch.manual_seed(3)
    nets = [SegUNet(KNEE["small"].net).eval() for _ in range(3)]
    for place, net in enumerate(nets):
        net.stem.fill_(float(alike[0] if place in alike else place) + 1.0)
        for name, value in net.named_parameters():
            if name.endswith(".1.bias"):  # of a norm, as training leaves it
                torch.nn.init.normal_(value, std=0.1)
    stems = [net.stem.clone() for net in nets]
    served = ServedKnee(folded(nets[0]), ServeSpec((64,), mirrored=False), others=[folded(net) for net in nets[1:]])
    path = tmp_path / "net.onnx"
    path.write_bytes(export(served, 64, served.gives, {}))
    for place, net in enumerate(nets):
        back = SegUNet(KNEE["small"].net)
        restore(back, path, place=place)
        assert torch.equal(back.stem, stems[place])
        assert torch.equal(back.class_head.weight, net.class_head.weight)
    with pytest.raises(RunFault, match=r"net\.onnx holds no network 4, which its card says"):
        weights_of(path, 3)


def test_of_three_networks_two_may_outline_while_all_vote() -> None:
    torch.manual_seed(6)
    image, nets = torch.rand((1, 1, 64, 64)), [SegUNet(KNEE["small"].net).eval() for _ in range(3)]
    with torch.no_grad():
        alone = [ServedKnee(net, ServeSpec((64,), mirrored=False)).outputs(image) for net in nets]
        said = ServedKnee(nets[0], ServeSpec((64,), False, outlined_by=2), others=nets[1:]).outputs(image)
    assert torch.allclose(said.class_logits, sum(each.class_logits for each in alone) / 3.0, atol=1e-5)  # type: ignore[arg-type]
    assert torch.allclose(said.mask_logits, (alone[0].mask_logits + alone[1].mask_logits) / 2.0, atol=1e-5)
    assert torch.equal(said.features, alone[0].features)


def test_networks_of_two_kinds_answer_together_each_as_small_as_it_is(tmp_path: Path) -> None:
    """The shipped bundle's networks, or such as it began with, beside one of another kind."""
    torch.manual_seed(8)
    small, large = (SegUNet(KNEE[name].net).eval() for name in ("small", "tune"))
    for name, value in small.named_parameters():
        if name.endswith(".1.bias"):  # of a norm, as training leaves it
            torch.nn.init.normal_(value, std=0.1)
    served = ServedKnee(folded(small), ServeSpec((64,), mirrored=False))
    (tmp_path / "global.onnx").write_bytes(export(served, 64, served.gives, {}))
    member = Start(replace(shipped("knee").card, files={"global": FileEntry("global.onnx", "0" * 64)}), tmp_path)
    member = marked(member, networks=None)
    draws = [partial(SegUNet, KNEE[name].net) for name in ("small", "tune")]
    (other,) = networks_of(large, draws, [member], "global")
    assert other.spec == KNEE["small"].net
    image = torch.rand((1, 1, 64, 64))
    with torch.no_grad():
        alone = [ServedKnee(net, ServeSpec((64,), mirrored=False)).outputs(image) for net in (large, small)]
        said = ServedKnee(large, ServeSpec((64,), mirrored=False), others=[other]).outputs(image)
    assert torch.allclose(said.mask_logits, (alone[0].mask_logits + alone[1].mask_logits) / 2.0, atol=1e-4)
    assert torch.equal(said.features, alone[0].features)
    assert alone[0].features.shape != alone[1].features.shape


@pytest.mark.parametrize("told", ["1", "the first of the networks alone"])
def test_networks_that_only_vote_are_not_asked_for_outlines(told: str) -> None:
    """Of the run and a bundle of two, of which the second only votes, two can outline."""
    whole = marked(shipped("knee"), outlined_by=None, networks="2")
    voting = marked(whole, outlined_by=int(told) if told.isdigit() else told)
    for count in (1, 2):
        refuse_voters([voting], count)
    for count in (0, 3):
        with pytest.raises(RunFault, match="was exported with --outlined-by.*Give --outlined-by 2 here"):
            refuse_voters([voting], count)
    for count in (0, 1, 3):
        refuse_voters([whole], count)
    for count in (-1, 4):
        with pytest.raises(RunFault, match=f"--outlined-by {count}: there are 3 networks"):
            refuse_voters([whole], count)


def test_who_outlines_is_asked_only_where_there_are_others(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folders = ["--run", str(tmp_path), "--data", str(tmp_path), "--bundle", str(tmp_path / "made")]
    for asked in ("--outlined-by", "1"), ("--half",):
        assert cli.main(["export", "limb", *folders, "--kind", "real", *asked]) == 2
        assert f"An export of limb has no {asked[0]}. Leave it out." in capsys.readouterr().err
    assert cli.main(["export", "knee", *folders, "--kind", "real", "--outlined-by", "1"]) == 2
    assert "--outlined-by says how many of several networks outline" in capsys.readouterr().err


def test_weights_in_half_precision_are_kept_exactly_and_given_back(tmp_path: Path) -> None:
    torch.manual_seed(7)
    nets = [SegUNet(KNEE["small"].net).eval() for _ in range(2)]
    for net in nets:
        for name, value in net.named_parameters():
            if name.endswith(".1.bias"):  # of a norm, as training leaves it
                torch.nn.init.normal_(value, std=0.1)
        folded(net)
    before = nets[0].encoder[1].first[0].weight.detach().clone()
    served = ServedKnee(nets[0], ServeSpec((64,), mirrored=False), others=nets[1:])
    large, small = tmp_path / "large.onnx", tmp_path / "small.onnx"
    large.write_bytes(export(served, 64, served.gives, {}))
    small.write_bytes(export(halved(served), 64, served.gives, {}))
    assert small.stat().st_size < 0.55 * large.stat().st_size
    image = {"image": np.random.default_rng(1).random((1, 1, 64, 64), dtype=np.float32)}
    with torch.no_grad():
        wanted = served(torch.from_numpy(image["image"]))
    for name, said in zip(served.gives, onnxruntime.InferenceSession(small).run(None, image), strict=True):
        assert np.allclose(said, getattr(wanted, name).numpy(), atol=1e-4), name
    for place, net in enumerate(nets):
        back = SegUNet(KNEE["small"].net)
        restore(back, small, place=place)
        assert torch.equal(back.encoder[1].first[0].weight, net.encoder[1].first[0].weight)
        assert torch.equal(back.class_head.weight, net.class_head.weight)
    away = (nets[0].encoder[1].first[0].weight.detach() - before).abs() / before.abs().clamp(min=1e-3)
    assert 0.0 < float(away.max()) < 1e-3


def test_presets_that_draw_the_same_network_may_answer_together() -> None:
    assert alike(LIMB["bent"], LIMB) == ("small", "bent", "wide")
    assert alike(LIMB["paper"], LIMB) == ("paper",)
    assert alike(KNEE["tune"], KNEE) == ("tune",)
    assert LIMB["bent"].views.elastic > LIMB["small"].views.elastic == 0.0


@pytest.mark.parametrize(
    ("system", "bundle", "reason"),
    [
        ("limb", "diffusion", "its system is diffusion-unet, limb-unet is needed"),
        ("spine", "spine", "An export of spine has no --with. Leave it out."),
    ],
)
def test_what_cannot_answer_together_is_refused(
    system: str,
    bundle: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(LIMB, "small", TINY)
    data = ["--data", str(volumes.write(tmp_path / "set", [volumes.case(number) for number in range(12)]))]
    run = str(tmp_path / "run")
    assert system == "spine" or cli.main(["fit", "limb", *data, "--out", run]) == 0
    told = ["export", system, *data, "--run", run, "--bundle", str(tmp_path / "made"), "--kind", "real"]
    assert cli.main([*told, "--with", str(SHIPPED / bundle)]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
