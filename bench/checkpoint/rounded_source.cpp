#include "bench/checkpoint/rounded_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "engine/base/error.h"

namespace mmbatch::bench {
namespace {

class RoundedForm final : public StoredForm {
 public:
  RoundedForm(TensorView tensor, const Grouping& grouping)
      : tensor_(std::move(tensor)), grouping_(grouping) {}

  std::string_view name() const override { return grouping_.name; }
  std::size_t bytes() const override {
    return static_cast<std::size_t>(static_cast<double>(tensor_.elements()) * bytes_per_weight(grouping_));
  }
  void read(std::size_t begin, std::size_t count, float* out) const override {
    copy_as_float(tensor_, begin, count, out);
  }
  const Grouping* grouping() const override { return &grouping_; }
  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    std::vector<float> values(count);
    copy_as_float(tensor_, begin, count, values.data());
    round_to_groups(grouping_, values.data(), count, out);
  }

 private:
  TensorView tensor_;
  const Grouping& grouping_;
};

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// The number behind "layers.", or -1.
int layer_of(const std::string& name) {
  const std::size_t at = name.find("layers.");
  return at == std::string::npos ? -1 : std::atoi(name.c_str() + at + 7);
}

bool has_more(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

StoredMix mix_of(const char* name, const char* most, const char* more, const char* head) {
  StoredMix mix{name, find_grouping(most), find_grouping(more), find_grouping(head), 0, 0};
  const double share = 0.5 * 0.28;  // of a Llama layer's weights these are 28 %
  mix.layer_bytes = (1 - share) * bytes_per_weight(*mix.most) + share * bytes_per_weight(*mix.more);
  mix.head_bytes = bytes_per_weight(*mix.head);
  return mix;
}

}  // namespace

const StoredMix& find_stored_mix(const std::string& name) {
  static const StoredMix mixes[] = {mix_of("q4_0", "q4_0", "q4_0", "q6_k"),
                                    mix_of("q4_k_m", "q4_k", "q6_k", "q6_k"),
                                    mix_of("q8_0", "q8_0", "q8_0", "q8_0")};
  for (const StoredMix& mix : mixes) {
    if (mix.name == name) return mix;
  }
  throw UsageError(fmt::format("--stored-as {}: is unknown; allowed are q4_0, q4_k_m, q8_0", name));
}

TensorView rounded(const TensorView& tensor, const Grouping& grouping) {
  TensorView stored{tensor.name, DType::f32, tensor.shape};
  stored.form = std::make_shared<const RoundedForm>(tensor, grouping);
  return stored;
}

RoundedSource::RoundedSource(std::shared_ptr<const WeightSource> model, const StoredMix& mix)
    : WeightSource(model->path()), model_(std::move(model)) {
  int layers = 0;
  for (const auto& [name, tensor] : model_->tensors()) layers = std::max(layers, layer_of(name) + 1);
  for (const auto& [name, tensor] : model_->tensors()) {
    const int layer = layer_of(name);
    const bool head = contains(name, "lm_head");
    const bool matrix = tensor.shape.size() == 2 && contains(name, "_proj.weight") && layer >= 0;
    TensorView stored = tensor;
    if (head || (matrix && !contains(name, "vision"))) {
      const bool more = (contains(name, "v_proj") || contains(name, "down_proj")) && has_more(layer, layers);
      const Grouping& grouping = head ? *mix.head : more ? *mix.more : *mix.most;
      if (tensor.cols() % grouping.span() == 0) stored = rounded(tensor, grouping);
    }
    add(stored, path());
  }
}

}  // namespace mmbatch::bench
