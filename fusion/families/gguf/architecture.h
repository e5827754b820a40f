#pragma once

#include <cstdint>
#include <map>
#include <optional>
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
  turned,  // in halves, where Hugging Face's files have pairs
};

/// Whether layers of one model differ in heads and widths, which its own part of the description then reads.
enum class LayerSizes { uniform, by_layer };

/// A text architecture of GGUF: what "general.architecture" names, as a config.json and its tensors would
/// have it.
struct Architecture {
  std::string_view name;
  std::string_view model_type;  // of config.json
  std::string_view class_name;  // of config.json's "architectures"
  RotaryRows rows = RotaryRows::halves;
  float added_to_norms = 0.0f;  // what stored norm weights have more than Hugging Face's
  /// Parts of a layer whose names differ from all others': GGUF's and Hugging Face's. Where the first has an
  /// ending too (".weight"), the second is the whole name.
  std::vector<std::pair<std::string_view, std::string_view>> names = {};
  /// The same of what is outside of all layers.
  std::vector<std::pair<std::string_view, std::string_view>> outer_names = {};
  std::string_view layers = "model.layers";
  std::string_view experts = "mlp.experts";  // below a layer
  LayerSizes sizes = LayerSizes::uniform;
  /// The kind of mmproj file without which there is no such model here; empty: it is a text model by itself.
  std::string_view only_with = "";
};

/// @throws ModelError that names the architecture and lists the supported ones
const Architecture& find_architecture(const Metadata& metadata);

/// The number of layers, without those that only predict further tokens, which nothing here uses.
std::uint64_t layer_count(const Metadata& metadata);

/// config.json of a text model, by the file's keys: JSON text.  @throws ModelError naming the key
std::string describe_text(const Architecture& architecture, const Metadata& metadata, const Tensors& tensors);

/// "final_logit_softcapping"; nothing where the file has none, or 0, which llama.cpp takes for none.
/// @throws ModelError naming the key
std::optional<double> final_softcap(const Metadata& metadata);

/// JSON of a text model with layers of two kinds, whose heads and feed-forwards differ.
/// @param shared JSON, what all architectures have
std::string describe_gemma4(const Metadata& metadata, const Tensors& tensors, const std::string& shared);

/// The tensors under the names, and in the order of rows, of Hugging Face's files.
/// @throws ModelError for a tensor that has no place there
std::vector<TensorView> text_tensors(const Architecture& architecture, const Metadata& metadata,
                                     const Tensors& tensors);

/// For each row of a weight in halves, where it is in the one that is stored in pairs.
/// @throws ModelError where rows are not heads of an even width
std::vector<std::uint32_t> rows_in_halves(const TensorView& tensor, std::size_t heads);
/// The other way round, of the first `rotated` rows of each head; the others stay.
std::vector<std::uint32_t> rows_in_pairs(const TensorView& tensor, std::size_t heads, std::size_t rotated);

/// The largest number of a layer's key heads; layers without attention have none. `heads` where nothing is
/// said.
std::uint64_t key_heads(const Metadata& metadata, std::uint64_t heads);

/// For each layer, whether its attention sees a window only: a list, or every how many layers one sees all.
/// @param every where the file says nothing
std::vector<bool> sliding_layers(const Metadata& metadata, std::size_t layers, std::int64_t every);

/// "llama.block_count" for "block_count".
std::string own_key(const Metadata& metadata, const std::string& key);
/// A number that must be there, also where it is given for each layer, and then the same for all.
std::uint64_t uniform_size(const Metadata& metadata, const std::string& key);
std::uint64_t uniform_size(const Metadata& metadata, const std::string& key, std::uint64_t otherwise);

}  // namespace mmbatch::gguf
