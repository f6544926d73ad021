"""How strange something is: by hand, and that air and padding have no say."""

import pytest
import torch

from training.familiarity import Familiarity, moments, spread


def test_the_training_is_about_one_strange_and_what_is_far_is_more() -> None:
    """Unit variances: the mean squared distance is 1 on average, and 9 at three deviations in every direction."""
    drawn = torch.randn((4000, 6), generator=torch.Generator().manual_seed(1))
    known = Familiarity(drawn)
    assert float(known(drawn).mean()) == pytest.approx(1.0, abs=1e-3)
    assert float(known(torch.full((1, 6), 3.0))) == pytest.approx(9.0, rel=0.1)


def test_a_direction_that_never_varied_does_not_make_everything_strange() -> None:
    drawn = torch.randn((500, 2), generator=torch.Generator().manual_seed(2))
    drawn[:, 1] = 5.0
    assert float(Familiarity(drawn)(torch.tensor([[0.0, 5.05]]))) < 1.0


def test_stacks_that_give_one_slice_each_give_all_parts_of_a_stack() -> None:
    turns = [spread(range(1, 8), 1, turn)[0] for turn in range(700)]
    assert [turns.count(place) for place in range(9)] == pytest.approx([0, *[100] * 7, 0], abs=3)
    assert spread(range(1, 8), 3, 0) == [1, 3, 5]
    assert spread(range(1, 8), 50, 4) == [1, 2, 3, 4, 5, 6, 7]


def test_moments_by_hand_are_of_tissue_alone() -> None:
    """Tissue in the left half; the map is 1, 3 there by rows and 100 in the air: mean 2, deviation 1."""
    image = torch.zeros((1, 1, 4, 4))
    image[..., :2] = 0.5
    values = torch.full((1, 1, 4, 4), 100.0)
    values[..., :2] = torch.tensor([1.0, 3.0, 1.0, 3.0])[:, None]
    assert moments(image, [values]).tolist()[0] == pytest.approx([2.0, 1.0], abs=1e-5)


def test_padding_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    image, values = torch.rand((1, 2, 8, 8), generator=generator) + 0.1, torch.rand((1, 3, 4, 4), generator=generator)
    padded = torch.nn.functional.pad(image, (8, 0, 0, 8)), torch.nn.functional.pad(values, (4, 0, 0, 4), value=7.0)
    assert torch.allclose(moments(image, [values]), moments(padded[0], [padded[1]]), atol=1e-6)


def test_air_alone_gives_numbers() -> None:
    assert torch.isfinite(moments(torch.zeros((1, 1, 4, 4)), [torch.rand((1, 2, 2, 2))])).all()
