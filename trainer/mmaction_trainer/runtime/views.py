"""Clips and crops of a video as they reach a training: each picture once, in memory that its reader shares.

Clips of a test overlap, and its crops do. MMAction2 resizes each frame as often as it is in a clip, stacks all views
of all clips, and a loader's process copies the stack into memory that it shares with the training: 188 MB for 30 views
of 32 frames, of which 54 MB differ. Here frames that are the same are one picture, which is resized once and sent
once; views are put together where they are used, on its device. What a model gets is the same, byte for byte.
``bench/loading.py`` measures what it saves.

A picture that is in several places is read-only, so that none can change it for the others: transforms that change
pictures in place get copies.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import mmcv
import numpy as np
import numpy.typing as npt
import torch
from mmaction.datasets.transforms import Flip as StockFlip
from mmaction.datasets.transforms import FormatShape as StockFormatShape
from mmaction.datasets.transforms import PackActionInputs as StockPackActionInputs
from mmaction.datasets.transforms import Resize as StockResize
from mmaction.datasets.transforms.processing import RandomErasing as StockRandomErasing
from mmaction.registry import TRANSFORMS
from mmengine.structures import BaseDataElement
from torch.utils.data import get_worker_info

from .frames import Picture

CHANNELS = 3
FORMATS = ("NCTHW", "NCHW")
"""Of ``FormatShape``, those that are about colour pictures."""

Cut = tuple[int, int, int]
"""Frames in a row that are cut out of their pictures alike: the upper left corner, and how many they are."""
Place = tuple[Picture, int, int]
"""What a picture is cut out of, and its upper left corner there."""


class Views(BaseDataElement):  # type: ignore[misc]
    """An input on its way to a model: pictures, and what each view has of them.

    MMEngine brings a batch to the model's device by the ``to`` of its parts. That of this one gives a tensor.

    Attributes:
        pictures: (pictures, height, width, 3) of bytes.
        places: the picture of each frame of each view, (frames,); None where those are the pictures themselves.
        cuts: of those frames, in their order.
        size: height and width of what is cut out.
        clip: frames of a view.
        format: of ``FORMATS``.
    """

    def to(self, device: Any, *_: Any, **__: Any) -> torch.Tensor:
        """What MMAction2's own transforms give: (views, 3, frames, height, width) or (frames, 3, height, width)."""
        frames = self.pictures.to(device)
        if self.places is not None:
            frames = self._cut_out(frames)
        if self.format == "NCHW":
            return frames.permute(0, 3, 1, 2)
        return frames.unflatten(0, (-1, self.clip)).permute(0, 4, 1, 2, 3)

    def _cut_out(self, pictures: torch.Tensor) -> torch.Tensor:
        """Every frame of every view, (frames, height, width, 3)."""
        height, width = self.size
        shape = (len(self.places), height, width, CHANNELS)
        on_cpu = pictures.device.type == "cpu"  # numpy asks for large pages, and copies in this thread alone
        frames = torch.from_numpy(np.empty(shape, np.uint8)) if on_cpu else pictures.new_empty(shape)
        places, begin = self.places.to(pictures.device), 0
        for top, left, length in self.cuts:
            part = slice(begin, begin + length)
            whole = pictures[:, top : top + height, left : left + width]
            if on_cpu:
                for frame, place in zip(frames[part].numpy(), places[part].tolist(), strict=True):
                    frame[:] = whole[place]
            else:
                torch.index_select(whole, 0, places[part], out=frames[part])
            begin += length
        return frames


def views_of(frames: Sequence[Picture], clip: int, layout: str) -> Views:
    """The views that are made of these frames, ``clip`` each; in memory that the process that reads them shares."""
    found = [place_of(frame) for frame in frames]
    wholes = {address(whole): whole for whole, _, _ in found}
    places, cuts = None, []
    pictures = list(frames)
    alike = len({whole.shape for whole in wholes.values()}) == 1
    if alike and sum(whole.nbytes for whole in wholes.values()) < sum(frame.nbytes for frame in frames):
        pictures = list(wholes.values())
        numbers = {where: number for number, where in enumerate(wholes)}
        places = torch.tensor([numbers[address(whole)] for whole, _, _ in found])
        corners = groupby((top, left) for _, top, left in found)
        cuts = [(top, left, len(list(there))) for (top, left), there in corners]
    size = frames[0].shape[:2]
    return Views(pictures=sent(pictures), places=places, cuts=cuts, size=size, clip=clip, format=layout)


def place_of(picture: Picture) -> Place:
    """What a picture is cut out of; itself, if it is no such part of a picture, or of several that lie together."""
    base: Any = picture.base
    if is_colour(base, dimensions=(3, 4)) and base.flags.c_contiguous and base.strides[-3:] == picture.strides:
        together = base.reshape(-1, *base.shape[-3:])
        number, rest = divmod(address(picture) - address(base), together.strides[0])
        top, rest = divmod(rest, together.strides[1])
        return together[number], top, rest // CHANNELS
    return picture, 0, 0


def is_colour(picture: Any, dimensions: Sequence[int] = (3,)) -> bool:
    """Whether it is a colour picture of bytes; or several, where so many dimensions are accepted."""
    return (
        isinstance(picture, np.ndarray)
        and picture.dtype == np.uint8
        and picture.ndim in dimensions
        and picture.shape[-1] == CHANNELS
    )


def address(array: npt.NDArray[Any]) -> int:
    """Where an array begins in memory."""
    return int(array.__array_interface__["data"][0])


def sent(pictures: Sequence[Picture]) -> torch.Tensor:
    """Pictures of one size, (pictures, height, width, 3), in memory that another process reads without a copy.

    They are written to a file that is in memory alone, and mapped where they are read: to write them to mapped memory
    takes twice as long, as every page of it is asked for by itself.
    """
    file = os.memfd_create("views")
    try:
        for picture in pictures:
            write(file, np.ascontiguousarray(picture).data.cast("B"))
        size = len(pictures) * pictures[0].nbytes
        storage = torch.UntypedStorage._new_shared_fd_cpu(file, size)  # which keeps the file open for itself
    finally:
        os.close(file)
    return torch.empty(0, dtype=torch.uint8).set_(storage, 0, (len(pictures), *pictures[0].shape))


def write(file: int, left: memoryview) -> None:
    """Write bytes to a file."""
    while left:
        left = left[os.write(file, left) :]


def each_its_own(pictures: Sequence[Picture]) -> list[Picture]:
    """Pictures that may be changed in place."""
    return [picture if picture.flags.writeable else picture.copy() for picture in pictures]


@TRANSFORMS.register_module(name="Resize", force=True)
class Resize(StockResize):  # type: ignore[misc]
    """MMAction2's transform of this name, each picture resized once."""

    def _resize_imgs(self, imgs: Sequence[Picture], new_w: int, new_h: int) -> list[Picture]:
        """Pictures of this size, in one piece of memory: to get many small ones takes longer than to resize."""
        if not all(map(is_colour, imgs)):
            return super()._resize_imgs(imgs, new_w, new_h)  # type: ignore[no-any-return]
        if all(picture.shape[:2] == (new_h, new_w) for picture in imgs):
            return list(imgs)  # OpenCV copies them
        times = Counter(map(id, imgs))
        distinct = {id(picture): picture for picture in imgs}
        rooms = dict(zip(distinct, np.empty((len(distinct), new_h, new_w, CHANNELS), np.uint8), strict=True))
        for key, room in rooms.items():
            mmcv.imresize(distinct[key], (new_w, new_h), interpolation=self.interpolation, out=room)
            room.flags.writeable = times[key] == 1
        return [rooms[id(picture)] for picture in imgs]


@TRANSFORMS.register_module(name="Flip", force=True)
class Flip(StockFlip):  # type: ignore[misc]
    """MMAction2's transform of this name, which flips in place."""

    def _flip_imgs(self, imgs: Sequence[Picture], modality: str) -> Any:
        return super()._flip_imgs(each_its_own(imgs), modality)


@TRANSFORMS.register_module(name="RandomErasing", force=True)
class RandomErasing(StockRandomErasing):  # type: ignore[misc]
    """MMAction2's transform of this name, which erases in place."""

    def _fill_pixels(self, imgs: Sequence[Picture], *patch: Any) -> Any:
        return super()._fill_pixels(each_its_own(imgs), *patch)


@TRANSFORMS.register_module(name="FormatShape", force=True)
class FormatShape(StockFormatShape):  # type: ignore[misc]
    """MMAction2's transform of this name, which in a loader's process gives ``Views`` of colour pictures."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Give ``results["imgs"]`` the axes of the input."""
        frames: Any = results.get("imgs")
        if get_worker_info() is None or not self._is_for_views(frames):
            return super().transform(results)  # type: ignore[no-any-return]
        length = results["clip_len"]
        clip = length["RGB"] if isinstance(length, dict) else length
        results["imgs"] = views_of(frames, clip, self.input_format)
        return results

    def _is_for_views(self, frames: Any) -> bool:
        """Whether all frames are colour pictures of one size, to be given the axes of whole clips."""
        return (
            isinstance(frames, list)
            and not self.collapse
            and self.input_format in FORMATS
            and all(is_colour(frame) and frame.shape == frames[0].shape for frame in frames)
        )


@TRANSFORMS.register_module(name="PackActionInputs", force=True)
class PackActionInputs(StockPackActionInputs):  # type: ignore[misc]
    """MMAction2's transform of this name, which packs ``Views`` too."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the input of a model and what is known of it."""
        views = results.get("imgs")
        if not isinstance(views, Views):
            return super().transform(results)  # type: ignore[no-any-return]
        packed: dict[str, Any] = super().transform({**results, "imgs": views.pictures})
        return {**packed, "inputs": views}
