"""The bundle: everything an app developer needs of one classifier, and the proof that it arrived whole."""
