"""What no network can mean is no answer: an output that is stuck, a map that is even, boxes that are none."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models import knee, spine_study, stack
from models.card import read_bundle
from models.errors import InferenceError
from models.nonsense import Boxes, refuse_boxes, refuse_constant, refuse_stuck
from models.session import Device, SessionOptions
from models.spine import SpineNets, detect
from tests.models import nets, spine_nets, stack_nets

OPTIONS = SessionOptions(Device.CPU, threads=1)
SEEN = np.random.default_rng(3).random((5, 32, 32), dtype=np.float32)


def with_stuck(data, output, value):
    """The same file, whose output is `value` whatever the image."""
    model = onnx.load_from_string(data)
    (node,) = [each for each in model.graph.node if output in each.output]
    meant, zero, none, stuck = (f"{output} {what}" for what in ("meant", "zero", "none", "stuck"))
    node.output[list(node.output).index(output)] = meant
    for name, number in ((stuck, value), (zero, 0.0)):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(number), name))
    model.graph.node.append(onnx.helper.make_node("Mul", [meant, zero], [none]))
    model.graph.node.append(onnx.helper.make_node("Add", [none, stuck], [output]))
    return model.SerializeToString()


def spine(tmp_path, unlike=None, **files):
    return spine_study.load(read_bundle(spine_nets.bundle(tmp_path / "spine", unlike, **files)), OPTIONS)


@pytest.mark.parametrize("value", [0.0, 1.0, -50.0, 50.0])
@pytest.mark.parametrize("role", ["global", "patch"])
@pytest.mark.parametrize("output", ["class_logits", "mask_logits", "distance_logits"])
def test_a_knee_network_with_an_output_that_is_stuck_is_refused_on_opening(tmp_path, output, role, value):
    files = {{"global": "whole", "patch": "patch"}[role]: with_stuck(nets.net(role), output, value)}
    if output == "mask_logits":  # the others are computed from it
        output = "[a-z]+_logits"
    model = knee.load(read_bundle(nets.bundle(tmp_path / "knee", **files)), OPTIONS)
    with pytest.raises(InferenceError, match=f"knee 0.0.1, {role}, gives the same {output}"):
        model.warm_up()


def test_a_knee_network_that_finds_everything_as_familiar_is_refused_on_opening(tmp_path):
    files = {"whole": with_stuck(nets.net("global"), "strangeness", 1.0)}
    with pytest.raises(InferenceError, match="gives the same strangeness"):
        knee.load(read_bundle(nets.bundle(tmp_path / "knee", **files)), OPTIONS).warm_up()


@pytest.mark.parametrize("system", ["limb", "diffusion"])
@pytest.mark.parametrize("value", [0.0, -50.0, 50.0])
def test_a_network_of_stacks_that_is_stuck_is_refused_on_opening_and_on_a_study(tmp_path, system, value):
    text = stack_nets.LIMB if system == "limb" else stack_nets.DIFFUSION
    card = stack_nets.parse_card(text.encode(), stack_nets.PATH)
    folder = stack_nets.bundle(tmp_path / system, text, data=with_stuck(stack_nets.net(card), "mask_logits", value))
    with pytest.raises(InferenceError, match=f"{system} 0.0.1 gives the same mask_logits"):
        stack.load(read_bundle(folder), OPTIONS).warm_up()
    logits = np.full((4, 64, 64), value, np.float32)
    with pytest.raises(InferenceError, match="gave the same number"):
        refuse_constant(logits, SEEN, system)


@pytest.mark.parametrize(
    ("role", "output"), [("detector", "probabilities"), ("classifier", "class_logits"), ("familiar", "strangeness")]
)
def test_a_spine_network_that_is_stuck_is_refused_on_opening(tmp_path, role, output):
    made = getattr(spine_nets, role)()
    if role == "detector":  # neither boxes nor probabilities depend on the image
        made = with_stuck(with_stuck(made, "boxes", 0.0), output, 0.0)
    else:
        made = with_stuck(made, output, 3.0)
    files = {} if role == "familiar" else {role: made}
    with pytest.MonkeyPatch.context() as patch:
        if role == "familiar":
            patch.setattr(spine_nets, "familiar", lambda: made)
        model = spine(tmp_path, 5.0 if role == "familiar" else None, **files)
    with pytest.raises(InferenceError, match=f"spine 0.0.1, {role}, gives the same"):
        model.warm_up()


def test_a_classifier_whose_numbers_move_together_leans_nowhere(tmp_path):
    class Both:
        def run(self, images):
            grey = images.mean(axis=(1, 2, 3))
            return {"class_logits": np.stack([grey, grey + 1.0], axis=1).astype(np.float32)}

    model = spine(tmp_path)
    model.nets = SpineNets(model.nets.detector, Both())
    with pytest.raises(InferenceError, match="classifier, gives the same class"):
        model.warm_up()


def test_sound_networks_are_opened(tmp_path):
    spine(tmp_path, 5.0).warm_up()
    knee.load(read_bundle(nets.bundle(tmp_path / "knee")), OPTIONS).warm_up()
    stack.load(read_bundle(stack_nets.bundle(tmp_path / "limb")), OPTIONS).warm_up()


def test_an_output_that_depends_on_the_image_is_not_stuck():
    refuse_stuck(lambda images: {"said": images.mean(axis=(1, 2))}, (8, 8), "net")
    with pytest.raises(InferenceError, match="net gives the same said"):
        refuse_stuck(lambda images: {"said": 0.0 * images.mean(axis=(1, 2)) - 7.0}, (8, 8), "net")


def boxes(slices=5, places=3, seed=0):
    """What a sound detector might say: places and probabilities of their own."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 10, (slices, places, 2))
    edges = np.concatenate([corners, corners + rng.uniform(4, 20, (slices, places, 2))], axis=-1)
    raw = rng.uniform(0.1, 1.0, (slices, places, 3))
    return edges.astype(np.float32), (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)


def test_sound_boxes_pass():
    edges, probabilities = boxes()
    refuse_boxes(Boxes(edges, probabilities), SEEN, "net")
    edges[2:], probabilities[2:] = 0.0, 0.0  # slices without a box
    refuse_boxes(Boxes(edges, probabilities), SEEN, "net")
    refuse_boxes(Boxes(0 * edges, 0 * probabilities), SEEN, "net")
    one = np.zeros((5, 3, 4), np.float32), np.zeros((5, 3, 3), np.float32)
    one[0][:, 0], one[1][:, 0] = (3, 3, 9, 9), (0.1, 0.2, 0.7)  # one lesion, seen on every slice alike
    refuse_boxes(Boxes(*one), SEEN, "net")
    refuse_boxes(Boxes(*(np.repeat(each[:1], 5, axis=0) for each in boxes())), np.repeat(SEEN[:1], 5, axis=0), "net")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda e, p: (np.repeat(e[:1], 5, 0), np.repeat(p[:1], 5, 0)), "for every slice", id="repeated"),
        pytest.param(lambda e, p: (e, 0 * p + np.float32(1 / 3)), "the same probabilities", id="even classes"),
        pytest.param(lambda e, p: (e, 0 * p + np.float32([0, 0, 1])), "the same probabilities", id="all malignant"),
        pytest.param(lambda e, p: (0 * e + np.float32([2, 2, 9, 9]), p), "the same place", id="one place"),
        pytest.param(lambda e, p: (0 * e, p), "none of which has a surface", id="no surface"),
        pytest.param(lambda e, p: (e[..., [2, 3, 0, 1]], p), "none of which has a surface", id="edges swapped"),
        pytest.param(lambda e, p: (e, 0.4 * p), "probabilities that are none", id="sums of 0.4"),
        pytest.param(lambda e, p: (e, 40 * p), "probabilities that are none", id="logits"),
        pytest.param(lambda e, p: (e, p + np.float32([2, -1, -1])), "probabilities that are none", id="below 0"),
    ],
)
def test_boxes_that_no_detector_can_mean_are_no_answer_and_no_absence_of_tumours(spoil, says):
    edges, probabilities = spoil(*boxes())

    class Detector:
        def run(self, images):
            return {"boxes": edges[: len(images)], "probabilities": probabilities[: len(images)]}

    with pytest.raises(InferenceError, match=f"The detector of the spine gave .*{says}"):
        detect(SpineNets(Detector(), None), SEEN, (32, 32))
