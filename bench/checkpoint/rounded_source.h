#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/weights/groups/grouping.h"
#include "engine/weights/weight_source.h"

namespace mmbatch::bench {

/// In what people's GGUF files hold the matrices of a decoder.
struct StoredMix {
  std::string name;
  const Grouping* most;  // of the layers
  const Grouping* more;  // of values and the last of the feed-forward, in the first and last eighth of the
                         // layers and in every third between
  const Grouping* head;

  /// Of a layer's weights on average, where every other layer has more, and of the head's.
  double layer_bytes, head_bytes;
};

/// q4_0, q4_k_m, q8_0.  @throws UsageError that lists them
const StoredMix& find_stored_mix(const std::string& name);

/// A matrix as if it were stored so: it is rounded when it is read.
TensorView rounded(const TensorView& tensor, const Grouping& grouping);

/// A checkpoint as if it were stored so: what layers read of a matrix is rounded when it is read.
class RoundedSource final : public WeightSource {
 public:
  RoundedSource(std::shared_ptr<const WeightSource> model, const StoredMix& mix);

  bool has_file(const std::string& name) const override { return model_->has_file(name); }
  std::optional<std::string> read_file(const std::string& name, std::size_t max_bytes) const override {
    return model_->read_file(name, max_bytes);
  }
  std::vector<std::string> list_files(const std::string& folder) const override {
    return model_->list_files(folder);
  }
  std::string fingerprint(FingerprintScope scope) const override { return model_->fingerprint(scope); }
  std::vector<WeightFile> files() const override { return model_->files(); }

 protected:
  Config read_config() const override { return model_->config(); }

 private:
  std::shared_ptr<const WeightSource> model_;
};

}  // namespace mmbatch::bench
