"""Three operations that torch lacks and ONNX has: deformable convolution, RoIAlign, and suppression of overlaps.

Each is plain torch, differentiable where training needs it, and is wrapped as a custom operator so that the exporter
sees one node: `DeformConv`, `RoiAlign` (opset 16: onnxruntime has no kernel for 22) and `NonMaxSuppression`. While a
network is exported the operator is called, otherwise its body.

Nothing here has a shape that depends on data: suppression answers with a mask of its input's shape, and what follows it
takes a fixed number by `topk`. So the exported graph has one dynamic axis, the batch.

Legend: maps `(b, channels, rows, columns)`; boxes `(b, n, 4)`: left, top, right, bottom in pixels, where 0 is the outer
edge of the first pixel.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnxscript import opset20 as _opset20
from torch import Tensor
from torch.nn import functional

TAPS = 9
"""Of a 3 x 3 kernel."""

Translations = dict[Callable[..., Any], Callable[..., Any]]


def deform_conv(values: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """A 3 x 3 convolution whose taps wander, each with a weight of its own (modulated: DCN version 2).

    Parameters
    ----------
    offset
        `(b, 18, rows / stride, columns / stride)`: down and right, tap by tap.
    mask
        `(b, 9, rows / stride, columns / stride)`: the weight of each tap, 0..1.
    weight
        `(out, in / groups, 3, 3)`.
    """
    if torch.compiler.is_exporting():
        return torch.ops.osteon.deform_conv(values, offset, mask, weight, stride, groups)  # type: ignore[no-any-return]  # torch.ops is untyped
    return _deform(values, offset, mask, weight, stride, groups)


def roi_align(values: Tensor, boxes: Tensor, scale: float, size: int, sampling: int) -> Tensor:
    """What a map shows within each box, as `(b, n, channels, size, size)` (Mask R-CNN's RoIAlign, half-pixel centred).

    Parameters
    ----------
    scale
        Pixels of the map per pixel of the image.
    sampling
        Points per bin and axis, whose mean is taken.
    """
    if torch.compiler.is_exporting():
        return torch.ops.osteon.roi_align(values, boxes, scale, size, sampling)  # type: ignore[no-any-return]  # torch.ops is untyped
    return _align(values, boxes, scale, size, sampling)


def survivors(boxes: Tensor, scores: Tensor, overlap: float, most: int) -> Tensor:
    """1 where a box outlives all better ones that it overlaps by more than `overlap` (IoU), at most `most` per image.

    Parameters
    ----------
    scores
        `(b, n)`, higher is better.

    Returns
    -------
    `(b, n)` of the dtype of `scores`: 0 or 1.
    """
    if torch.compiler.is_exporting():
        return torch.ops.osteon.survivors(boxes, scores, overlap, most)  # type: ignore[no-any-return]  # torch.ops is untyped
    return _survive(boxes, scores, overlap, most)


def _deform(values: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    batch, channels, rows, columns = values.shape
    out_rows, out_columns = mask.shape[-2:]
    device, dtype = values.device, values.dtype
    taps = torch.arange(TAPS, device=device, dtype=dtype)[:, None, None]
    down = torch.arange(out_rows, device=device, dtype=dtype)[None, :, None] * stride - 1 + taps.div(3).floor()
    right = torch.arange(out_columns, device=device, dtype=dtype)[None, None, :] * stride - 1 + taps.remainder(3)
    wander = offset.reshape(batch, TAPS, 2, out_rows, out_columns)
    down, right = down + wander[:, :, 0], right + wander[:, :, 1]
    grid = torch.stack(((2 * right + 1) / columns - 1, (2 * down + 1) / rows - 1), dim=-1)
    seen = functional.grid_sample(values, grid.flatten(1, 2), padding_mode="zeros", align_corners=False)
    seen = seen.view(batch, channels, TAPS, out_rows * out_columns) * mask.reshape(batch, 1, TAPS, -1)
    seen = seen.view(batch, groups, channels // groups * TAPS, -1)
    kernel = weight.view(1, groups, weight.shape[0] // groups, -1)
    return (kernel @ seen).view(batch, weight.shape[0], out_rows, out_columns)


def _align(values: Tensor, boxes: Tensor, scale: float, size: int, sampling: int) -> Tensor:
    """By two products: points of a box that stands upright form a grid, so their weights are those of its two axes."""
    batch, channels, rows, columns = values.shape
    count = boxes.shape[1]
    left, top, right, bottom = (boxes.to(values.dtype) * scale).unbind(-1)
    down = _axis(top, bottom, rows, size, sampling).view(batch, count * size, rows)
    across = _axis(left, right, columns, size, sampling).view(batch * count, size, columns)
    seen = down @ values.transpose(1, 2).reshape(batch, rows, channels * columns)
    seen = seen.view(batch * count, size * channels, columns) @ across.transpose(1, 2)
    return seen.view(batch, count, size, channels, size).transpose(2, 3)


def _axis(low: Tensor, high: Tensor, points: int, size: int, sampling: int) -> Tensor:
    """How much each point of an axis counts for each bin: `(b, n, size, points)`."""
    share = (torch.arange(size * sampling, device=low.device, dtype=low.dtype) + 0.5) / (size * sampling)
    at = low[..., None] + (high - low)[..., None] * share - 0.5
    at = at.clamp(0.0, points - 1.0)
    away = at[..., None] - torch.arange(points, device=low.device, dtype=low.dtype)
    weights = (1.0 - away.abs()).clamp(min=0.0)
    return weights.view(*low.shape, size, sampling, points).mean(dim=-2)


def _survive(boxes: Tensor, scores: Tensor, overlap: float, most: int) -> Tensor:
    kept = [
        _greedy(box.astype(np.float32), score, overlap, most)
        for box, score in zip(boxes.detach().cpu().numpy(), scores.detach().cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(kept)).to(scores)


def _greedy(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.floating], overlap: float, most: int
) -> npt.NDArray[np.float32]:
    kept = np.zeros(len(boxes), dtype=np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-scores, kind="stable")
    for _ in range(most):
        if not order.size:
            break
        best, rest = order[0], order[1:]
        kept[best] = 1.0
        inner = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2])
        common = np.maximum(inner, 0.0).prod(axis=1)
        order = rest[common <= overlap * (areas[best] + areas[rest] - common)]
    return kept


@torch.library.custom_op("osteon::deform_conv", mutates_args=())
def _deform_op(values: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    return _deform(values, offset, mask, weight, stride, groups)


@_deform_op.register_fake
def _deform_shape(values: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    return values.new_empty((values.shape[0], weight.shape[0], *mask.shape[-2:]))


@torch.library.custom_op("osteon::roi_align", mutates_args=())
def _align_op(values: Tensor, boxes: Tensor, scale: float, size: int, sampling: int) -> Tensor:
    return _align(values, boxes, scale, size, sampling).contiguous()


@_align_op.register_fake
def _align_shape(values: Tensor, boxes: Tensor, scale: float, size: int, sampling: int) -> Tensor:
    return values.new_empty((values.shape[0], boxes.shape[1], values.shape[1], size, size))


@torch.library.custom_op("osteon::survivors", mutates_args=())
def _survive_op(boxes: Tensor, scores: Tensor, overlap: float, most: int) -> Tensor:
    return _survive(boxes, scores, overlap, most)


@_survive_op.register_fake
def _survive_shape(boxes: Tensor, scores: Tensor, overlap: float, most: int) -> Tensor:
    return torch.empty_like(scores)


_op: Any = _opset20  # its stubs know no lists and no results of their own


def _deform_node(values: Any, offset: Any, mask: Any, weight: Any, stride: int, groups: int) -> Any:
    return _op.DeformConv(
        values,
        weight,
        offset,
        None,
        mask,
        group=groups,
        kernel_shape=[3, 3],
        offset_group=1,
        pads=[1, 1, 1, 1],
        strides=[stride, stride],
    )


def _align_node(values: Any, boxes: Any, scale: float, size: int, sampling: int) -> Any:
    op = _op
    shape = op.Shape(boxes)
    batch, count = op.Slice(shape, [0], [1], [0]), op.Slice(shape, [1], [2], [0])
    images = op.Range(op.Constant(value_int=0), op.Squeeze(batch), op.Constant(value_int=1))
    owners = op.Reshape(op.Expand(op.Unsqueeze(images, [1]), op.Concat(batch, count, axis=0)), [-1])
    flat = op.RoiAlign(
        values,
        op.Reshape(boxes, [-1, 4]),
        owners,
        coordinate_transformation_mode="half_pixel",
        mode="avg",
        output_height=size,
        output_width=size,
        sampling_ratio=sampling,
        spatial_scale=scale,
    )
    return op.Reshape(flat, op.Concat(batch, count, op.Slice(op.Shape(flat), [1], [4], [0]), axis=0))


def _survive_node(boxes: Any, scores: Any, overlap: float, most: int) -> Any:
    op = _op
    by_class = op.Unsqueeze(scores, [1])
    chosen = op.NonMaxSuppression(boxes, by_class, op.Constant(value_ints=[most]), op.Constant(value_floats=[overlap]))
    ones = op.Expand(op.Constant(value_float=1.0), op.Slice(op.Shape(chosen), [0], [1], [0]))
    none = op.Expand(op.Constant(value_float=0.0), op.Shape(by_class))
    return op.Squeeze(op.ScatterND(none, chosen, ones), [1])


def translations() -> Translations:
    """What `torch.onnx.export` needs as `custom_translation_table`."""
    ops = torch.ops.osteon
    return {
        ops.deform_conv.default: _deform_node,
        ops.roi_align.default: _align_node,
        ops.survivors.default: _survive_node,
    }
