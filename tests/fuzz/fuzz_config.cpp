// config.json of all families, with the weights of the bundled model.

#include "engine/base/error.h"
#include "engine/weights/safetensors_folder.h"
#include "fusion/family.h"
#include "tests/fuzz/input.h"
#include "vision/preprocess/preprocess.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const mmbatch::SafetensorsFolder weights(MMBATCH_DEMO "/model");
  const std::string text = mmbatch::fuzz::text(data, size);
  try {
    const mmbatch::Config config = mmbatch::Config::parse(text, "config.json");
    try {
      mmbatch::find_family(config).parse(config, weights);
    } catch (const mmbatch::ModelError&) {
    }
    const mmbatch::Preprocessor preprocessor(config);
  } catch (const mmbatch::ModelError&) {
  }
  return 0;
}
