"""Data sets, their fixed splits, and the one `preprocess` that training, calibration and verification share."""

from models.data.choose import (
    DATASETS,
    allowing_broken,
    as_imagenet,
    dataset_loader,
    dataset_slug,
    find_dataset,
    load_dataset,
)
from models.data.dataset import SPLIT_SEED, SPLITS, Dataset, Images, Pixels, Split
from models.data.digits import load_digits
from models.data.preparing import normalise, prepare_picture, preprocess
from models.data.reading import LazyPixels, batches, batches_of, lazy_pixels, open_pixels
from models.data.split import grouped_split, stratified_sample, stratified_split

__all__ = [
    "DATASETS",
    "SPLITS",
    "SPLIT_SEED",
    "Dataset",
    "Images",
    "LazyPixels",
    "Pixels",
    "Split",
    "allowing_broken",
    "as_imagenet",
    "batches",
    "batches_of",
    "dataset_loader",
    "dataset_slug",
    "find_dataset",
    "grouped_split",
    "lazy_pixels",
    "load_dataset",
    "load_digits",
    "normalise",
    "open_pixels",
    "prepare_picture",
    "preprocess",
    "stratified_sample",
    "stratified_split",
]
