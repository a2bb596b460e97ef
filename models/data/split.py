"""Which pictures train, which validate, which test; and fair samples of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.data.dataset import Split
from models.errors import DataError


def stratified_split(
    classes: NDArray[np.int64], *, validation: float, test: float, seed: int
) -> dict[Split, NDArray[np.int64]]:
    """Disjoint index sets in which every class has the same share.

    Args:
        classes: Class index per picture, `[N]`.
        validation: Share of each class, 0..1.
        test: Share of each class, 0..1.
        seed: Decides which pictures go where.
    """
    rng = np.random.default_rng(seed)
    parts: dict[Split, list[NDArray[np.int64]]] = {"train": [], "validation": [], "test": []}
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        ends = np.round(np.cumsum([test, validation]) * len(members)).astype(int)
        for split, part in zip(("test", "validation", "train"), np.split(members, ends), strict=True):
            parts[split].append(part)  # type: ignore[index]
    return {split: np.sort(np.concatenate(indices)) for split, indices in parts.items()}


def grouped_split(
    classes: NDArray[np.int64], groups: NDArray[np.int64], *, validation: float, test: float, seed: int
) -> dict[Split, NDArray[np.int64]]:
    """Like `stratified_split`, with all pictures of a group on one side; a group counts to the class it mostly is of.

    Shares hold over all classes together, and in each class to within a group or two.

    Args:
        classes: Class index per picture, `[N]`.
        groups: Group number per picture, `[N]`.
        validation: Share of each class, 0..1.
        test: Share of each class, 0..1.
        seed: Decides which groups go where.
    """
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(index)
    by_class: dict[int, list[list[int]]] = {}
    for group_members in members.values():
        by_class.setdefault(int(np.bincount(classes[group_members]).argmax()), []).append(group_members)
    rng = np.random.default_rng(seed)
    parts: dict[Split, list[int]] = {"train": [], "validation": [], "test": []}
    # What a class could not give, because pictures are whole, the next one does: of 1000 classes of four pictures each,
    # 400 pictures validate and not none.
    owed_test = owed_validation = 0.0
    for label in sorted(by_class):
        own = by_class[label]
        total = sum(map(len, own))
        owed_test, owed_validation = owed_test + test * total, owed_validation + validation * total
        for position in rng.permutation(len(own)):
            # By its half, so that a large group falls where most of it belongs.
            half = len(own[position]) / 2
            if half <= owed_test:
                parts["test"] += own[position]
                owed_test -= 2 * half
            elif half <= owed_validation:
                parts["validation"] += own[position]
                owed_validation -= 2 * half
            else:
                parts["train"] += own[position]
    return {split: np.sort(np.array(indices, dtype=np.int64)) for split, indices in parts.items()}


def stratified_sample(
    classes: NDArray[np.int64], indices: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """`count` of `indices`, ascending, spread over the classes as evenly as their sizes allow.

    Raises:
        DataError: fewer pictures than asked for, or not even one asked for.
    """
    if not 1 <= count <= len(indices):
        raise DataError(
            f"cannot take {count} calibration images from a split of {len(indices)}; ask for 1 to {len(indices)} with "
            "--calibration-images"
        )
    rng = np.random.default_rng(seed)
    queues = [list(rng.permutation(indices[classes[indices] == label])) for label in np.unique(classes[indices])]
    chosen: list[int] = []
    while len(chosen) < count:
        # One of each class in turn, the classes in random order, until there are enough.
        for position in rng.permutation(len(queues)):
            if queues[position] and len(chosen) < count:
                chosen.append(queues[position].pop())
    return np.sort(np.array(chosen, dtype=np.int64))
