"""What the node asks of the two ONNX files of a knee bundle; exports are proved, and candidates opened, against it."""

from models.card import Card, contract_of
from models.knee import LEVELS
from models.session import Contract
from training.knee.nets import CLASSES


def contract(card: Card, role: str) -> Contract:
    """The contract of the file for `role` ("global", "patch")."""
    rows, columns = card.preprocess.size
    shapes = {
        "class_logits": (len(CLASSES),),
        "mask_logits": (1, rows, columns),
        "distance_logits": (LEVELS, rows, columns),
    }
    return Contract(contract_of(card, role), "image", (1, rows, columns), shapes)
