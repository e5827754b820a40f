#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/gguf/gguf_file.h"

namespace mmbatch::gguf {

/// All tensors of a model's files, by GGUF's names.
using Tensors = std::map<std::string, TensorView>;

/// How the rows of query and key weights are stored.
enum class RotaryRows {
  halves,  // as in Hugging Face's files: element j goes with j + head_dim / 2
  pairs,   // 2j with 2j + 1
};

/// A text architecture of GGUF: what "general.architecture" names, as a config.json and its tensors would
/// have it.
struct Architecture {
  std::string_view name;
  std::string_view model_type;  // of config.json
  std::string_view class_name;  // of config.json's "architectures"
  RotaryRows rows = RotaryRows::halves;
  float added_to_norms = 0.0f;  // what stored norm weights have more than Hugging Face's
  /// Parts of a layer whose names differ from all others': GGUF's and Hugging Face's.
  std::vector<std::pair<std::string_view, std::string_view>> names = {};
  /// The same of what is outside of all layers.
  std::vector<std::pair<std::string_view, std::string_view>> outer_names = {};
  std::string_view layers = "model.layers";
};

/// @throws ModelError that names the architecture and lists the supported ones
const Architecture& find_architecture(const Metadata& metadata);

/// config.json of a text model, by the file's keys: JSON text.  @throws ModelError naming the key
std::string describe_text(const Architecture& architecture, const Metadata& metadata, const Tensors& tensors);

/// The tensors under the names, and in the order of rows, of Hugging Face's files.
/// @throws ModelError for a tensor that has no place there
std::vector<TensorView> text_tensors(const Architecture& architecture, const Metadata& metadata,
                                     const Tensors& tensors);

/// For each row of a weight in halves, where it is in the one that is stored in pairs.
/// @throws ModelError where rows are not heads of an even width
std::vector<std::uint32_t> rows_in_halves(const TensorView& tensor, std::size_t heads);

/// The largest number of a layer's key heads; layers without attention have none. `heads` where nothing is
/// said.
std::uint64_t key_heads(const Metadata& metadata, std::uint64_t heads);

/// "llama.block_count" for "block_count".
std::string own_key(const Metadata& metadata, const std::string& key);
/// A number that must be there, also where it is given for each layer, and then the same for all.
std::uint64_t uniform_size(const Metadata& metadata, const std::string& key);
std::uint64_t uniform_size(const Metadata& metadata, const std::string& key, std::uint64_t otherwise);

}  // namespace mmbatch::gguf
