#include "fusion/family.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/weights/quantized/quantized.h"
#include "fusion/families/families.h"

namespace mmbatch {

std::span<const Family> families() {
  static const std::vector<Family> table = {
      llava_family(),         llava_next_family(),     paligemma_family(),
      llama_family(),         mistral_family(),        gemma_family(),
      gemma2_family(),        siglip_family(),         qwen2_family(),
      qwen3_family(),         idefics3_family(),       clip_family(),
      qwen3_moe_family(),     gpt_oss_family(),        qwen2_vl_family(),
      qwen2_5_vl_family(),    qwen3_vl_family(),       qwen3_vl_moe_family(),
      qwen3_5_family(),       qwen3_5_moe_family(),    gemma3_family(),
      internvl_family(),      mistral3_family(),       gemma3_text_family(),
      smollm3_family(),       phi3_family(),           granite_family(),
      olmo2_family(),         gpt2_family(),           ministral3_family(),
      gemma4_family(),        gemma4_unified_family(), gemma4_text_family(),
      lfm2_family(),          lfm2_vl_family(),        glm_ocr_family(),
      paddleocr_vl_family(),  blip_family(),           florence2_family(),
      deepseek_ocr2_family(), qwen3_5_text_family(),   qwen3_5_moe_text_family(),
  };
  return table;
}

void check_quantization(const Config& config) {
  check_quantization_method(find_quantization(config, Config(config.source())));
}

const Family& find_family(const Config& config) {
  std::vector<std::string> architectures = config.texts("architectures");
  const std::string model_type = config.text("model_type", "");
  const auto has = [](const std::vector<std::string_view>& known, const std::string& name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  };
  std::string supported;
  for (const Family& family : families()) {
    for (const std::string& architecture : architectures) {
      if (has(family.architectures, architecture)) return family;
    }
    if (architectures.empty() && has(family.model_types, model_type)) return family;
    for (const std::string_view architecture : family.architectures) {
      supported += fmt::format("{}{}", supported.empty() ? "" : ", ", architecture);
    }
  }
  const std::string found = !architectures.empty() ? architectures.front()
                            : model_type.empty()   ? "neither architectures nor model_type"
                                                   : "model_type " + model_type;
  throw ModelError(fmt::format("{}: architecture not supported: found {}; supported are {}", config.source(),
                               found, supported));
}

}  // namespace mmbatch
