"""A training that begins with a bundle begins with its answers, and says so for good."""

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from models.card import read_bundle
from tests.training import volumes
from tests.training.test_limb import TINY
from training import cli
from training.diffusion.recipe import RECIPES as DIFFUSION
from training.errors import RunFault
from training.hand.nets import DeepLab
from training.hand.recipe import RECIPES as HAND
from training.knee.fit import DISTANCE
from training.knee.nets import SegUNet
from training.knee.recipe import RECIPES as KNEE
from training.knee.recipe import ancestors
from training.knee.serving import Served, ServeSpec
from training.limb.recipe import RECIPES as LIMB
from training.loop import CHECKPOINT
from training.run import BEGUN, claim, run_of, with_weights
from training.spine.classifier import Classifier
from training.spine.detector import Detector
from training.spine.recipe import RECIPES as SPINE
from training.start import Start, begin, claimed, facts_of, restore, start_of, unseen
from training.together import networks_of
from training.unet import UNet

SHIPPED = cli.SHIPPED
IMAGE = np.random.default_rng(1).random((1, 3, 48, 48), dtype=np.float32)


def networks() -> dict[str, tuple[nn.Module, str, str, tuple[int, ...]]]:
    spine = SPINE["small"].detector
    return {
        "hand": (DeepLab(HAND["small"].net), "hand", "net", (3, 8, 64, 64)),
        "limb": (UNet(LIMB["small"].net), "limb", "net", (2, 3, 192, 192)),
        "diffusion": (UNet(DIFFUSION["small"].net), "diffusion", "net", (2, 9, 192, 192)),
        "knee": (SegUNet(KNEE["tune"].net), "knee", "global", (1, 1, 256, 256)),
        "spine boxes": (Detector(spine), "spine", "detector", (1, 1, *spine.size)),
        "spine classes": (Classifier(SPINE["small"].classifier), "spine", "classifier", (2, 16, 112, 112)),
    }


def _looks(start: Start) -> ServeSpec:
    """How the global network of a knee is served."""
    told = start.card.training  # cards of older exports say one size for each network
    sides, mirrored = told.get("global_looks_at_px", told.get("looks_at_px")), told["mirrored"]
    assert isinstance(sides, list)
    assert isinstance(mirrored, list)
    mine = sides if "global_looks_at_px" in told else sides[:1]
    outlined_by = int(str(told.get("outlined_by", 0)))
    return ServeSpec(tuple(int(side) for side in mine), mirrored=bool(mirrored[0]), outlined_by=outlined_by)


def served(net: nn.Module, start: Start, image: torch.Tensor) -> Any:
    """What a network answers with as many looks as the card says."""
    if isinstance(net, SegUNet):
        draws = [partial(SegUNet, each.net) for each in ancestors(KNEE["tune"])]
        others = networks_of(SegUNet(net.spec), draws, [start], "global", drawn=DISTANCE)[1:]
        return Served(net, _looks(start), others=others).eval()(image)
    said, nets = net(image), [net]
    for place in range(1, int(str(start.card.training.get("networks", 1)))):
        nets.append(type(net)(net.spec).eval())
        restore(nets[-1], start.file("net"), place=place)
    is_mirrored = start.card.training.get("looks") == 2
    if not is_mirrored and len(nets) == 1:
        return said
    masks = [each(image).mask_logits for each in nets]
    masks += [each(image.flip(3)).mask_logits.flip(3) for each in nets] if is_mirrored else []
    return said._replace(mask_logits=sum(masks) / len(masks))


def shipped(name: str) -> Start:
    start = start_of(SHIPPED / name, ("small", "small-adc", "tune"), {})
    assert start is not None
    return start


@pytest.mark.parametrize("which", networks())
def test_a_network_begins_with_the_answers_of_the_shipped_one(which: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net, name, role, shape = networks()[which]
    start = shipped(name)
    drawn = "heads." if name in ("limb", "diffusion") else "\0"
    begin(net, start, role, (torch.rand(shape) for _ in range(2)), tmp_path, drawn=drawn)
    image = torch.rand(shape)
    if isinstance(net, SegUNet):  # noise is full of pixels that are nearly equal, which no radiograph is
        image = torch.nn.functional.interpolate(torch.rand(1, 1, 24, 24), size=shape[-2:], mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        said = served(net, start, image)._asdict()
    file = onnxruntime.InferenceSession(start.file(role))
    wanted = dict(
        zip([each.name for each in file.get_outputs()], file.run(None, {"image": image.numpy()}), strict=True)
    )
    for field, value in said.items():  # all but where two pixels are equal, of which each runtime pools another
        assert np.isclose(value.numpy(), wanted[field], atol=1e-3).mean() > 0.99, field
        assert float(wanted[field].std()) > 1e-3, field


def test_norms_that_were_folded_are_measured_so_that_training_sees_what_it_would(tmp_path: Path) -> None:
    """In training mode a norm takes the batch's own mean and variance: on the views that were measured they are those
    it was given, and the network says nearly the same."""
    net = UNet(LIMB["small"].net)
    torch.manual_seed(4)
    view = torch.rand((8, 3, 96, 96))
    begin(net, shipped("limb"), "net", itertools.repeat(view, 1), tmp_path, drawn="heads.")
    with torch.no_grad():
        still = net(view).mask_logits
        moving = net.train()(view).mask_logits
    assert float((still - moving).abs().mean()) < 0.01 * float(still.abs().mean())


def test_another_network_is_refused_by_the_name_of_what_is_missing_or_of_other_size(tmp_path: Path) -> None:
    limb, diffusion = shipped("limb"), shipped("diffusion")
    with pytest.raises(RunFault, match=r"no norm encoder\.1\.convs\.2\.1, the bundle's has"):
        begin(UNet(LIMB["small"].net), diffusion, "net", [], tmp_path, drawn="heads.")
    with pytest.raises(RunFault, match="Give one of it"):
        begin(DeepLab(HAND["small"].net), limb, "net", [], tmp_path)
    with pytest.raises(RunFault, match="holds no network global"):
        begin(SegUNet(KNEE["small"].net), limb, "global", [], tmp_path)


@pytest.mark.parametrize(
    ("system", "preset", "bundle", "reason"),
    [
        ("limb", "small", "diffusion-adc", "its system is diffusion-unet, limb-unet is needed"),
        ("diffusion", "small-adc", "limb", "its system is limb-unet, diffusion-unet is needed"),
        ("diffusion", "small-dwi", "diffusion-adc", "its channels is adc, high is needed"),
        ("diffusion", "strong", "diffusion", "its normalisation is volume-percentiles, body-z-score is needed"),
        ("hand", "small", "spine", "its system is spine-wff, hand-deep-ht is needed"),
        ("spine", "strong", "spine", "is needed"),
        ("knee", "strong", "knee", "is needed"),
    ],
)
def test_a_bundle_that_takes_other_images_is_refused_before_anything_is_written(
    system: str, preset: str, bundle: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Networks of one shape are not told apart by their weights: limb's and that of ADC maps are."""
    out = tmp_path / "run"
    told = ["fit", system, "--preset", preset, "--data", str(tmp_path), "--out", str(out)]
    assert cli.main([*told, "--start", str(SHIPPED / bundle)]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()


def test_where_a_run_was_interrupted_its_checkpoint_goes_on_and_not_the_bundle(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"weights")
    net = UNet(LIMB["small"].net)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    begin(net, shipped("limb"), "net", iter(()), tmp_path, drawn="heads.")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_run_belongs_to_its_start(tmp_path: Path) -> None:
    start = shipped("limb")
    claim(tmp_path, TINY, None, claimed(start))
    claim(tmp_path, TINY, None, claimed(start))
    assert str(run_of(tmp_path)["start"]).startswith(f"limb {read_bundle(SHIPPED / 'limb').card.version} (net ")
    with pytest.raises(RunFault, match="another recipe, budget, start or turn"):
        claim(tmp_path, TINY, None)


def test_what_began_with_real_images_is_never_called_phantom(tmp_path: Path) -> None:
    claim(tmp_path, TINY, None, claimed(shipped("limb")))
    with pytest.raises(RunFault, match="give --kind real"):
        facts_of(run_of(tmp_path), "phantom")
    assert "begun_with" in facts_of(run_of(tmp_path), "real")
    assert facts_of({"preset": "small", "recipe_sha256": "", "minutes": None}, "phantom") == {}


def test_what_began_with_phantoms_and_learned_of_patients_is_of_patients(tmp_path: Path) -> None:
    claim(tmp_path, TINY, None, claimed(shipped("hand")))
    told = facts_of(run_of(tmp_path), "real")["begun_with"]
    assert told.startswith("the weights of hand ")
    assert "trained on phantom images" in told
    assert "only their card says" in unseen({"begun_with": told})
    assert unseen({}) == "none of them trained or calibrated on"


def test_a_second_run_goes_on_from_the_bundle_of_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(LIMB, "small", TINY)
    data = ["--data", str(volumes.write(tmp_path / "set", [volumes.case(number) for number in range(12)]))]
    first, second, made, again = (str(tmp_path / name) for name in ("first", "second", "limb", "again"))
    assert cli.main(["fit", "limb", *data, "--out", first]) == 0
    assert cli.main(["export", "limb", *data, "--run", first, "--bundle", made, "--kind", "phantom"]) == 0
    slow = replace(TINY, plan=replace(TINY.plan, steps=1, rate=1e-9))
    monkeypatch.setitem(LIMB, "small", slow)
    assert cli.main(["fit", "limb", *data, "--out", second, "--start", made]) == 0
    assert cli.main(["export", "limb", *data, "--run", second, "--bundle", again, "--kind", "phantom"]) == 0
    answers = [
        onnxruntime.InferenceSession(Path(each) / "net.onnx").run(["mask_logits"], {"image": IMAGE})[0]
        for each in (made, again)
    ]
    alike = float(np.corrcoef(answers[0].ravel(), answers[1].ravel())[0, 1])
    assert alike > 0.99, "a step that moves no weights, only the running means of norms, leaves what it began with"
    training = read_bundle(Path(again)).card.training
    assert str(training["begun_with"]).startswith("the weights of limb 0.0.1 (net ")
    assert str(training["command"]).endswith("--start BUNDLE")
    halves = str(tmp_path / "halves")
    assert (
        cli.main(
            ["export", "limb", *data, "--run", second, "--bundle", halves, "--kind", "phantom", "--start-share", "0.5"]
        )
        == 0
    )
    assert read_bundle(Path(halves)).card.training["start_share"] == 0.5
    assert "start_share" not in training
    third, other = str(tmp_path / "third"), str(tmp_path / "other")
    assert cli.main(["fit", "limb", *data, "--out", third, "--start", again]) == 0
    assert cli.main(["export", "limb", *data, "--run", third, "--bundle", other, "--kind", "phantom"]) == 0
    assert str(read_bundle(Path(other)).card.training["begun_with"]).count("the weights of limb 0.0.1") == 2
    assert cli.main(["fit", "limb", *data, "--out", str(tmp_path / "x"), "--start", str(tmp_path / "set")]) == 2
    assert "osteon-train:" in capsys.readouterr().err


def test_the_mean_of_what_a_run_began_with_and_came_to_is_by_their_shares(tmp_path: Path) -> None:
    """Convolution 4 and norm 1 / sqrt(4), shift 1: 2 x + 1. Convolution 8, no norm to speak of: 8 x. A quarter of the
    first and three of the second: 6.5 x + 0.25; the mean of the unfolded weights would be 7 / sqrt(1.75) of it."""

    def net() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0))

    for name, weight, variance, shift in ((BEGUN, 4.0, 4.0, 1.0), ("net.pt", 8.0, 1.0, 0.0)):
        made = net()
        nn.init.constant_(made[0].weight, weight)
        nn.init.constant_(made[1].running_var, variance)
        nn.init.constant_(made[1].bias, shift)
        torch.save(made.state_dict(), tmp_path / name)
    one = torch.ones((1, 1, 1, 1))
    assert float(with_weights(net(), tmp_path / "net.pt")(one).detach()) == 8.0
    assert float(with_weights(net(), tmp_path / "net.pt", tmp_path, 0.25)(one).detach()) == pytest.approx(6.75)
    with pytest.raises(RunFault, match=r"A share of 1\.5 is none"):
        with_weights(net(), tmp_path / "net.pt", tmp_path, 1.5)
    (tmp_path / BEGUN).unlink()
    with pytest.raises(RunFault, match=r"start\.pt is missing: the run began with random weights"):
        with_weights(net(), tmp_path / "net.pt", tmp_path, 0.25)
