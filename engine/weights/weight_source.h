#pragma once

#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/weights/checkpoint_files.h"
#include "engine/weights/fingerprint.h"
#include "engine/weights/tensor.h"

namespace mmbatch {

/// A file that holds weights, for people.
struct WeightFile {
  std::string name;
  std::size_t bytes = 0;
  std::size_t tensors = 0;
};

/// Where a model comes from: its config, its tensors, the small files beside them and what identifies them
/// all. Weights are mapped, not read. Const after opening and shared by all threads.
class WeightSource : public CheckpointFiles {
 public:
  /// config.json, or what stands for it.  @throws ModelError when it is missing or broken
  const Config& config() const;

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// True when some tensor's name begins with `prefix`.
  bool has_below(const std::string& prefix) const;
  /// The tensor of that name and exactly that shape.  @throws ModelError naming tensor, expected and found
  TensorView tensor(const std::string& name, const std::vector<std::size_t>& shape) const;
  /// The tensor of that name, of whatever shape.  @throws ModelError
  const TensorView& tensor(const std::string& name) const;
  /// The first of these prefixes under which `probe` is stored; how writers of different years named a model.
  /// @throws ModelError that lists the names tried
  std::string prefix_of(const std::string& probe, std::initializer_list<const char*> prefixes) const;
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  /// Stored types of tensors that the engine does not compute with, by name: an error when they are needed.
  const std::map<std::string, std::string>& other_tensors() const { return others_; }

  /// Tensors of any type that nobody has asked for yet: once a model is loaded, those that it has no place
  /// for. Thread-safe.
  std::vector<std::string> unread() const;

  /// What identifies the model in a database. Of all bytes: of weights that are all finite.
  /// @throws ModelError when a file cannot be read, or a weight is NaN or infinite
  virtual std::string fingerprint(FingerprintScope scope) const = 0;
  /// The files that hold the weights.
  virtual std::vector<WeightFile> files() const = 0;
  /// The precision that the weights are packed in by mmbatch quantize; none for a published checkpoint.
  virtual std::optional<Precision> packed() const { return {}; }
  /// How a packed model's channels were evened out before rounding; empty: not at all.
  virtual std::string smoothed() const { return {}; }

 protected:
  explicit WeightSource(std::filesystem::path path) : CheckpointFiles(std::move(path)) {}

  virtual Config read_config() const = 0;
  /// @param file what an error names  @throws ModelError when the name is taken
  void add(const TensorView& tensor, const std::filesystem::path& file);
  void add_other(const std::string& name, const std::string& type) { others_.emplace(name, type); }

 private:
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> others_;
  mutable std::mutex read_mutex_;
  mutable std::set<std::string> read_;  // names; guarded by read_mutex_
  mutable std::once_flag config_read_;
  mutable std::optional<Config> config_;
};

/// The weights of a checkpoint folder, published or packed.
/// @throws ModelError that says what was found, and what a checkpoint is
std::shared_ptr<const WeightSource> open_weights(const std::filesystem::path& folder);

}  // namespace mmbatch
