// A network that reads handwritten digits, for LiteRT for Microcontrollers. Written by mnist-cnn $version.
//
// Input: one image of 28x28 pixels, row by row, light ink on black, in the form of MNIST: the ink is scaled into 20x20
// pixels, and its centre of mass lies in the centre of the image. Store a grey level g (0 to 255) as
//   g / MNIST_CNN_INPUT_SCALE + MNIST_CNN_INPUT_ZERO_POINT, rounded.
// Output: one number q for each class. Its probability, which is not calibrated, is
//   (q - MNIST_CNN_OUTPUT_ZERO_POINT) * MNIST_CNN_OUTPUT_SCALE.
// metadata.json says more: the data set, the accuracy, and the version of the preparation of images.
#ifndef MNIST_CNN_MODEL_H_
#define MNIST_CNN_MODEL_H_

#ifndef __cplusplus
#include <stdalign.h>
#endif

#define MNIST_CNN_IMAGE_SIZE 28
#define MNIST_CNN_INPUT_SCALE ${input_scale}f
#define MNIST_CNN_INPUT_ZERO_POINT ($input_zero_point)
#define MNIST_CNN_OUTPUT_SCALE ${output_scale}f
#define MNIST_CNN_OUTPUT_ZERO_POINT ($output_zero_point)
#define MNIST_CNN_CLASSES $classes
#define MNIST_CNN_MODEL_BYTES $size
// An upper limit of the memory for tensors. MicroInterpreter::arena_used_bytes() says how much your device needs.
#define MNIST_CNN_ARENA_BYTES $arena

static const char *const mnist_cnn_class_names[MNIST_CNN_CLASSES] = {$names};

// A digit to try, grey levels 0 to 255, and what the network reads.
static const unsigned char mnist_cnn_example[MNIST_CNN_IMAGE_SIZE * MNIST_CNN_IMAGE_SIZE] = {
$example
};
static const char mnist_cnn_example_answer[] = $answer;

// The content of a .tflite file.
alignas(16) static const unsigned char mnist_cnn_model[] = {
$model
};

#endif  // MNIST_CNN_MODEL_H_
