"""What a network costs."""

from __future__ import annotations


def test_multiply_adds_are_counted_at_each_call_of_a_layer() -> None:
    import keras
    from keras import layers

    from mnist_cnn.tuning.cost import count_costs

    image = keras.Input((28, 28, 1))
    again = layers.Conv2D(4, 3, padding="same", use_bias=False)
    x = layers.Conv2D(4, 5, strides=2, padding="same")(image)  # (B, 14, 14, 4)
    x = layers.SeparableConv2D(4, 3, padding="same")(again(again(x)))
    x = layers.DepthwiseConv2D(3)(layers.MaxPooling2D(2)(again(x)))  # (B, 5, 5, 4)
    model = keras.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    at_14 = 25 * 4 + 3 * (9 * 4 * 4) + (9 * 4 + 4 * 4)
    assert count_costs(model) == {
        "parameters": model.count_params(),
        "multiply_adds": 14 * 14 * at_14 + 5 * 5 * 9 * 4 + 4 * 10,
    }
