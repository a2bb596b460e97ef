"""The lock is installed without resolving, so that what it leaves out on purpose must be all that is left out."""

from importlib import metadata

from packaging.requirements import Requirement


def test_only_mediapipe_goes_without_what_it_asks_for() -> None:
    lacking: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        for line in distribution.requires or ():
            wanted = Requirement(line)
            if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
                continue
            try:
                metadata.version(wanted.name)
            except metadata.PackageNotFoundError:
                lacking.setdefault(distribution.metadata["Name"], set()).add(wanted.name)
    # Drawing and recording: Keras would load both of the former at every start.
    assert lacking in ({}, {"mediapipe": {"opencv-contrib-python", "matplotlib", "sounddevice"}})
