// Reads one digit with LiteRT for Microcontrollers (TensorFlow Lite Micro). An example to build on.
//
// Arduino: keep this file and model.h in one folder with this file's name, and install a library that contains TensorFlow
// Lite Micro for your board. Elsewhere: compile it as C++ together with the library.
#include <stdint.h>

#include "model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {
constexpr int kPixels = MNIST_CNN_IMAGE_SIZE * MNIST_CNN_IMAGE_SIZE;
alignas(16) uint8_t arena[MNIST_CNN_ARENA_BYTES];
tflite::MicroInterpreter* interpreter = nullptr;

// Returns the index of the class of an image, grey levels 0 to 255, and its probability in percent; -1 after an error.
int read_digit(const uint8_t* image, int* percent) {
  int8_t* input = interpreter->input(0)->data.int8;
  for (int pixel = 0; pixel < kPixels; ++pixel) {
    // MNIST_CNN_INPUT_SCALE is 1.
    input[pixel] = static_cast<int8_t>(image[pixel] + MNIST_CNN_INPUT_ZERO_POINT);
  }
  if (interpreter->Invoke() != kTfLiteOk) return -1;
  const int8_t* output = interpreter->output(0)->data.int8;
  int best = 0;
  for (int index = 1; index < MNIST_CNN_CLASSES; ++index) {
    if (output[index] > output[best]) best = index;
  }
  *percent = static_cast<int>(100 * MNIST_CNN_OUTPUT_SCALE * (output[best] - MNIST_CNN_OUTPUT_ZERO_POINT) + 0.5f);
  return best;
}
}  // namespace

void setup() {
  tflite::InitializeTarget();
  const tflite::Model* model = tflite::GetModel(mnist_cnn_model);
  if (model->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("The library expects another version of the model's format.");
    return;
  }
  static tflite::MicroMutableOpResolver<$count> resolver;  // with the operators of this model only
$registrations
  static tflite::MicroInterpreter made(model, resolver, arena, MNIST_CNN_ARENA_BYTES);
  if (made.AllocateTensors() != kTfLiteOk) {
    MicroPrintf("The arena is too small. Raise MNIST_CNN_ARENA_BYTES in model.h.");
    return;
  }
  interpreter = &made;
  MicroPrintf("The arena needs %d of %d bytes.", static_cast<int>(made.arena_used_bytes()), MNIST_CNN_ARENA_BYTES);

  // Replace the example by an image of your sensor.
  int percent = 0;
  const int digit = read_digit(mnist_cnn_example, &percent);
  if (digit >= 0) {
    MicroPrintf("Read %s with %d %%; expected %s.", mnist_cnn_class_names[digit], percent, mnist_cnn_example_answer);
  }
}

void loop() {}

#ifndef ARDUINO
int main() {
  setup();
  return 0;
}
#endif
