#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/weights/gguf/gguf_file.h"
#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {

/// A tensor's name in GGUF and in Hugging Face's files, "{}" standing for the number of a block ("v.blk.7.…",
/// "v.sam.blk.7.…"): a whole name, or one without its ending (".weight", ".bias"), which then stays.
using RenamedTensor = std::pair<std::string, std::string>;

/// Under the names that the list has for them; those that it lacks stay as they are.
std::map<std::string, TensorView> put_names(const std::vector<RenamedTensor>& names,
                                            const std::map<std::string, TensorView>& tensors);

/// The names of a tower of the CLIP kind, below `prefix`.
std::vector<RenamedTensor> clip_tower_names(const std::string& prefix);

/// What an mmproj file says of its tower.
struct TowerSizes {
  std::size_t hidden = 0, ffn = 0, layers = 0, heads = 0, image_size = 0, patch_size = 0;
  double norm_eps = 1e-6;
  std::string activation;  // as config.json names it; "" where the file says neither gelu nor silu
};

/// Where a tower's keys and tensors come from.
struct TowerPlace {
  const Metadata& metadata;
  std::string keys = "clip.vision.";  // what its keys begin with
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> other_tensors = {};  // whose types are not numbers with fractions
  std::map<std::string, std::size_t> sizes = {};          // of keys that are elsewhere in the file
  std::vector<double> mean = {}, deviation = {};          // where the file does not say
  /// Of towers whose queries and keys turn: how an mmproj file has their rows, or as they were published.
  RotaryRows rows = RotaryRows::pairs;
};

/// The tensors and keys of a vision tower, on their way to Hugging Face's names.
class TowerFile {
 public:
  /// @param kind of projector, which errors name  @throws ModelError
  TowerFile(TowerPlace place, std::string kind);

  const Metadata& metadata() const { return place_.metadata; }
  RotaryRows rows() const { return place_.rows; }
  /// The whole name of a key of the tower.
  std::string key(const std::string& name) const { return place_.keys + name; }
  bool has_key(const std::string& name) const;
  /// A key of the tower that must be there.  @throws ModelError naming file, key, value and what is allowed
  std::size_t size(const std::string& key) const;
  std::size_t size(const std::string& key, std::size_t otherwise) const;
  double number(const std::string& key, double otherwise) const;
  /// How many tiles a picture is cut into, at least and at most.  @throws ModelError where the least is above
  /// the most
  struct Tiles {
    std::size_t least, most;
  };
  Tiles tiles(Tiles otherwise) const;
  /// Of each colour.  @throws ModelError for what is not three numbers that pixels can be scaled with
  std::vector<double> mean() const;
  std::vector<double> deviation() const;
  /// @throws ModelError naming a key that is missing, or that does not fit the others or the tensors
  TowerSizes sizes() const;

  bool has(const std::string& name) const { return place_.tensors.count(name) > 0; }
  /// A tensor that stays.  @throws ModelError when it is missing
  const TensorView& tensor(const std::string& name) const;
  /// Takes a tensor out, so that rename() does not meet it.  @throws ModelError when it is missing
  TensorView take(const std::string& name);
  /// Leaves out what the computation does not need, where it is there.
  void drop(const std::string& name) { place_.tensors.erase(name); }
  /// All names that begin so.
  std::vector<std::string> names_below(const std::string& prefix) const;

  /// Puts what is left under other names.  @throws ModelError for a tensor that has no name there
  void rename(const std::vector<RenamedTensor>& names, std::vector<TensorView>& out);

  /// @throws ModelError "FILE: tensor 'NAME': PROBLEM"
  [[noreturn]] void fail(const std::string& tensor, const std::string& problem) const;

 private:
  /// Whether the two matrices of the feed-forward have each other's names, as in old files.
  bool exchanged() const;
  void check_blocks(const TowerSizes& sizes) const;
  std::vector<double> colours(const std::string& name, const std::vector<double>& otherwise,
                              double least) const;

  TowerPlace place_;  // its tensors are those that are left
  std::string kind_;
};

}  // namespace mmbatch::gguf
