// What an example sketch uses of LiteRT for Microcontrollers, as its documentation declares it.
#include <stddef.h>
#include <stdint.h>

#define TFLITE_SCHEMA_VERSION 3
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
struct TfLiteTensor {
  union {
    int8_t* int8;
  } data;
};
void MicroPrintf(const char* format, ...) __attribute__((format(printf, 1, 2)));

namespace tflite {
void InitializeTarget();
struct Model {
  uint32_t version() const;
};
const Model* GetModel(const void* buffer);
class MicroOpResolver {};
template <unsigned int kOperators>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  // operators
};
class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* arena, size_t size);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t index);
  TfLiteTensor* output(size_t index);
  size_t arena_used_bytes() const;
};
}  // namespace tflite
