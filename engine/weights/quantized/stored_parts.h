#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/weights/safetensors.h"
#include "engine/weights/tensor.h"

namespace mmbatch::quantized {

/// All that a folder's files hold, by name. A module X whose weight is stored in parts ("X.qweight",
/// "X.scales", …) gets "X.weight" in their place.
struct StoredParts {
  std::map<std::string, TensorView> tensors;  // float32, float16, bfloat16
  std::map<std::string, RawTensor> others;

  /// The names before `ending` of all others that end so.
  std::vector<std::string> modules(const std::string& ending) const;
  /// An other tensor, or null.
  const RawTensor* other(const std::string& name) const;

  /// @throws ModelError naming the tensor, expected and found
  const RawTensor& other(const std::string& name, const std::string& type,
                         const std::vector<std::size_t>& shape) const;
  const TensorView& tensor(const std::string& name) const;
  TensorView tensor(const std::string& name, const std::vector<std::size_t>& shape) const;
  /// Small numbers beside a weight, such as scales, read once.  @throws ModelError also where not finite
  std::vector<float> floats(const std::string& name, const std::vector<std::size_t>& shape) const;

  /// Takes the parts away and puts the whole in their place.  @throws ModelError when its name is taken
  void replace(const std::string& name, std::vector<std::size_t> shape,
               std::shared_ptr<const StoredForm> form, const std::vector<std::string>& parts);
};

/// @throws ModelError "tensor 'NAME': PROBLEM"
[[noreturn]] void fail(const std::string& name, const std::string& problem);

// One function for each method of quantization_config, in a file of its own.
void present_awq(const Config& quantization, StoredParts& parts);
void present_gptq(const Config& quantization, StoredParts& parts);
void present_compressed_tensors(const Config& quantization, StoredParts& parts);
void present_fp8(const Config& quantization, StoredParts& parts);
void present_mxfp4(const Config& quantization, StoredParts& parts);
void present_bitsandbytes(const Config& quantization, StoredParts& parts);

}  // namespace mmbatch::quantized
