"""Training: recipes and their settings, the loop, what is kept between epochs so that a run can go on, and its curves.

`settings` and `recipes` need the standard library only; `run` and what it uses import TensorFlow.
"""
