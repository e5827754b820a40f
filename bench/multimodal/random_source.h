#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/weights/weight_source.h"

namespace mmbatch::bench {

/// A tensor without values.
struct ShapedTensor {
  std::string name;
  std::vector<std::size_t> shape;
};

/// A checkpoint in memory: small files as texts, and random numbers in bf16 as weights. All tensors begin
/// with the same numbers, as it takes as long to multiply by them as by others.
class RandomSource final : public WeightSource {
 public:
  /// @param files by name, config.json among them
  RandomSource(std::map<std::string, std::string> files, const std::vector<ShapedTensor>& tensors);

  bool has_file(const std::string& name) const override { return files_.count(name) > 0; }
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override;
  std::vector<std::string> list_files(const std::string&) const override { return {}; }
  std::string fingerprint(FingerprintScope) const override { return "random"; }
  std::vector<WeightFile> files() const override { return {}; }

 protected:
  Config read_config() const override;

 private:
  std::map<std::string, std::string> files_;
  std::vector<std::uint16_t> numbers_;
};

}  // namespace mmbatch::bench
