"""Read whole handwritten numbers with a fully convolutional network: the digits, their confidence, and their places.

`field` finds a number that is small in its picture. `line_preparation` makes a line of fixed height. `line_network`
runs the model file, whose settings are its `number_metadata`. `decoding` finds the most probable number in its scores,
with `ctc` and `prefix_search`. `constraints`, `automaton` and `guidance` restrict it to numbers that fit. `looks`
weighs what several looks at one picture see, and `second_opinion` adds a network that others trained. `number_reader`
does all of it and returns a `number_reading`, which `number_explanation` draws.
"""

from mnist_cnn.reading.numbers.constraints import Constraint
from mnist_cnn.reading.numbers.number_reader import NumberReader
from mnist_cnn.reading.numbers.number_reading import Box, NumberDigit, NumberReading, NumberReason

__all__ = ["Box", "Constraint", "NumberDigit", "NumberReader", "NumberReading", "NumberReason"]
