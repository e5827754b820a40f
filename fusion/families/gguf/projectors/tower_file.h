#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/weights/gguf/gguf_file.h"

namespace mmbatch::gguf {

/// A tensor's name in GGUF and in Hugging Face's files, "{}" standing for a block's number: a whole name, or
/// one without its ending (".weight", ".bias"), which then stays.
using RenamedTensor = std::pair<std::string, std::string>;

/// The names of a tower of the CLIP kind, below `prefix`.
std::vector<RenamedTensor> clip_tower_names(const std::string& prefix);

/// What an mmproj file says of its tower.
struct TowerSizes {
  std::size_t hidden = 0, ffn = 0, layers = 0, heads = 0, image_size = 0, patch_size = 0;
  double norm_eps = 1e-6;
  std::string activation;  // as config.json names it; "" where the file says neither gelu nor silu
};

/// The tensors and keys of an mmproj file, on their way to Hugging Face's names.
class TowerFile {
 public:
  /// @param kind of projector, which errors name  @throws ModelError
  TowerFile(const GgufFile& file, std::string kind);

  const Metadata& metadata() const { return file_.metadata(); }
  /// A key below "clip.vision." that must be there.  @throws ModelError
  std::size_t size(const std::string& key) const;
  std::size_t size(const std::string& key, std::size_t otherwise) const;
  /// @throws ModelError naming a key that is missing
  TowerSizes sizes() const;

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// A tensor that stays.  @throws ModelError when it is missing
  const TensorView& tensor(const std::string& name) const;
  /// Takes a tensor out, so that rename() does not meet it.  @throws ModelError when it is missing
  TensorView take(const std::string& name);
  /// Leaves out what the computation does not need, where it is there.
  void drop(const std::string& name) { tensors_.erase(name); }
  /// All names that begin so.
  std::vector<std::string> names_below(const std::string& prefix) const;

  /// Puts what is left under other names.  @throws ModelError for a tensor that has no name there
  void rename(const std::vector<RenamedTensor>& names, std::vector<TensorView>& out);

  /// @throws ModelError "FILE: tensor 'NAME': PROBLEM"
  [[noreturn]] void fail(const std::string& tensor, const std::string& problem) const;

 private:
  /// Whether the two matrices of the feed-forward have each other's names, as in old files.
  bool exchanged() const;

  const GgufFile& file_;
  std::string kind_;
  std::map<std::string, TensorView> tensors_;  // that are left
};

}  // namespace mmbatch::gguf
