#include "engine/weights/quantized/quantized.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

using Present = void (*)(const Config& quantization, quantized::StoredParts& parts);

const std::map<std::string, Present>& methods() {
  static const std::map<std::string, Present> table = {
      {"awq", quantized::present_awq},
      {"gptq", quantized::present_gptq},
      {"compressed-tensors", quantized::present_compressed_tensors},
      {"fp8", quantized::present_fp8},
      {"mxfp4", quantized::present_mxfp4},
      {"bitsandbytes", quantized::present_bitsandbytes},
  };
  return table;
}

/// quantize_config.json names no method: it is AutoGPTQ's.
std::string method_of(const Config& quantization) {
  return quantization.text("quant_method", quantization.has("bits") ? "gptq" : "");
}

}  // namespace

Config find_quantization(const Config& config, const Config& quantize_config) {
  for (const Config& place : {config, config.child("text_config")}) {
    for (const char* key : {"quantization_config", "compression_config"}) {
      if (place.has(key)) return place.object(key);
    }
  }
  return quantize_config;
}

void check_quantization_method(const Config& quantization) {
  const std::string method = method_of(quantization);
  if (quantization.members().empty() || methods().count(method) > 0) return;
  std::string names;
  for (const auto& entry : methods()) names += (names.empty() ? "" : ", ") + entry.first;
  quantization.fail(
      "quant_method",
      fmt::format("the weights were quantized by {}, which is not supported; supported are {}. Take "
                  "one of these, a GGUF file, or the checkpoint that it was made from",
                  method.empty() ? "an unnamed method" : "'" + method.substr(0, 80) + "'", names));
}

void present_quantized(const Config& quantization, quantized::StoredParts& parts) {
  const auto found = methods().find(method_of(quantization));
  if (found != methods().end()) found->second(quantization, parts);
}

}  // namespace mmbatch
