#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/base/error.h"
#include "engine/weights/derived.h"
#include "fusion/families/gguf/architecture.h"

namespace mmbatch::gguf {
namespace {

using Name = std::pair<std::string_view, std::string_view>;

/// Parts of a layer, GGUF's name and Hugging Face's.
constexpr std::array kLayerNames = {
    Name{"attn_norm", "input_layernorm"},
    Name{"attn_q", "self_attn.q_proj"},
    Name{"attn_k", "self_attn.k_proj"},
    Name{"attn_v", "self_attn.v_proj"},
    Name{"attn_output", "self_attn.o_proj"},
    Name{"attn_q_norm", "self_attn.q_norm"},
    Name{"attn_k_norm", "self_attn.k_norm"},
    Name{"ffn_norm", "post_attention_layernorm"},
    Name{"ffn_gate", "mlp.gate_proj"},
    Name{"ffn_up", "mlp.up_proj"},
    Name{"ffn_down", "mlp.down_proj"},
    Name{"ffn_gate_inp", "mlp.gate"},
    Name{"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    Name{"ffn_up_shexp", "mlp.shared_expert.up_proj"},
    Name{"ffn_down_shexp", "mlp.shared_expert.down_proj"},
    Name{"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
};

constexpr std::array kOuterNames = {
    Name{"token_embd", "model.embed_tokens"},
    Name{"output_norm", "model.norm"},
    Name{"output", "lm_head"},
};

/// Read by describe_text(), and no tensors of the model.
constexpr std::array kTables = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"};

/// "blk.7.attn_q.weight" in its parts.
struct TensorName {
  std::string layer;   // "7"; empty: outside of all layers
  std::string part;    // "attn_q"
  std::string ending;  // ".weight", ".bias"
};

TensorName take_apart(const std::string& name) {
  TensorName parts;
  std::string_view rest = name;
  if (rest.rfind("blk.", 0) == 0) {
    rest.remove_prefix(4);
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    parts.layer = rest.substr(0, dot);
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  const std::size_t dot = rest.rfind('.');
  parts.part = rest.substr(0, dot);
  if (dot != std::string_view::npos) parts.ending = rest.substr(dot);
  return parts;
}

template <class List>
std::string_view look_up(const List& names, std::string_view part) {
  for (const Name& name : names) {
    if (name.first == part) return name.second;
  }
  return {};
}

/// Of layers that only predict further tokens, behind all others.
bool is_beyond(const std::string& layer, std::uint64_t layers) {
  std::uint64_t number = 0;
  const char* end = layer.data() + layer.size();
  const auto read = std::from_chars(layer.data(), end, number);
  return read.ec == std::errc() && read.ptr == end && number >= layers;
}

class TensorNames {
 public:
  TensorNames(const Architecture& architecture, const Metadata& metadata)
      : architecture_(architecture), metadata_(metadata), layers_(layer_count(metadata)) {
    if (uniform_size(metadata, "nextn_predict_layers", 0) == 0) layers_ = UINT64_MAX;
    if (architecture.rows == RotaryRows::halves) return;
    heads_ = uniform_size(metadata, "attention.head_count", 1);
    kv_heads_ = key_heads(metadata, heads_);
    if (architecture.rows == RotaryRows::pairs) return;
    rotated_ = uniform_size(metadata, "rope.dimension_count", 0);
  }

  void add(const std::string& name, const TensorView& tensor, std::vector<TensorView>& out) const {
    const TensorName parts = take_apart(name);
    if (is_beyond(parts.layer, layers_)) return;
    const std::string_view whole = look_up(
        parts.layer.empty() ? architecture_.outer_names : architecture_.names, parts.part + parts.ending);
    if (!whole.empty() && (!parts.ending.empty() || parts.part == "ssm_a"))
      return out.push_back(renamed(tensor, full_name(parts.layer, whole), tensor.shape));
    if (parts.part.size() > 5 && parts.part.compare(parts.part.size() - 5, 5, "_exps") == 0)
      return add_experts(parts, tensor, out);
    std::string_view found;
    if (parts.layer.empty()) {
      found = look_up(architecture_.outer_names, parts.part);
      if (found.empty()) found = look_up(kOuterNames, parts.part);
    } else {
      found = look_up(architecture_.names, parts.part);
      if (found.empty()) found = look_up(kLayerNames, parts.part);
    }
    if (found.empty()) {
      throw ModelError(
          fmt::format("{}: tensor '{}' has no place in architecture '{}' here; the file is of another "
                      "version of it",
                      metadata_.source(), name, architecture_.name));
    }
    out.push_back(changed(tensor, parts.part, full_name(parts.layer, found) + parts.ending));
  }

 private:
  std::string full_name(const std::string& layer, std::string_view name) const {
    return layer.empty() ? std::string(name) : fmt::format("{}.{}.{}", architecture_.layers, layer, name);
  }

  TensorView changed(const TensorView& tensor, const std::string& part, const std::string& name) const {
    const bool norm = part.size() > 5 && part.compare(part.size() - 5, 5, "_norm") == 0;
    // Convolutions over time are [channels, 1, taps] there.
    if ((part == "ssm_conv1d" || part == "shortconv.conv") && tensor.shape.size() == 2)
      return renamed(tensor, name, {tensor.shape[0], 1, tensor.shape[1]});
    if (norm && part != "ssm_norm" && architecture_.added_to_norms != 0)
      return plus(tensor, name, -architecture_.added_to_norms);
    if (architecture_.rows == RotaryRows::pairs && (part == "attn_q" || part == "attn_k"))
      return reordered_rows(tensor, name, rows_in_halves(tensor, heads_of(part, tensor)));
    if (architecture_.rows == RotaryRows::turned && (part == "attn_q" || part == "attn_k"))
      return reordered_rows(tensor, name, rows_in_pairs(tensor, heads_of(part, tensor), rotated_));
    return renamed(tensor, name, tensor.shape);
  }

  /// Those that the rows of a tensor of queries or keys are cut into.
  std::uint64_t heads_of(const std::string& part, const TensorView& tensor) const {
    const bool queries = part == "attn_q";
    const std::uint64_t heads = queries ? heads_ : kv_heads_;
    if (heads == 0 || tensor.rows() % heads != 0 || tensor.rows() / heads % 2 != 0) {
      metadata_.fail(own_key(metadata_, queries ? "attention.head_count" : "attention.head_count_kv"),
                     fmt::format("the {} rows of tensor '{}' are not {} heads of an even width",
                                 tensor.rows(), tensor.name, heads));
    }
    return heads;
  }

  /// ffn_up_exps [experts, out, in]: one weight for each expert; of ffn_gate_up_exps, the upper half of the
  /// rows is one and the lower the other.
  void add_experts(const TensorName& parts, const TensorView& tensor, std::vector<TensorView>& out) const {
    const std::string part = parts.part.substr(0, parts.part.size() - 5);
    const bool fused = part == "ffn_gate_up";
    const std::string_view name = look_up(kLayerNames, fused ? "ffn_gate" : part);
    const bool odd = fused && tensor.shape.size() > 1 && tensor.shape[1] % 2 != 0;
    if (name.empty() || parts.layer.empty() || tensor.shape.size() < 2 || odd) {
      throw ModelError(fmt::format("{}: tensor '{}' of shape {} is not that of experts", metadata_.source(),
                                   tensor.name, shape_text(tensor.shape)));
    }
    const std::vector<std::size_t> shape(tensor.shape.begin() + 1, tensor.shape.end());
    const std::string_view own = name.substr(name.find('.') + 1);  // "up_proj"
    for (std::size_t e = 0; e < tensor.shape[0]; ++e) {
      const std::string expert =
          fmt::format("{}.{}.{}.{}.", architecture_.layers, parts.layer, architecture_.experts, e);
      const TensorView all = renamed(tensor.row_range(e, 1), expert, shape);
      if (!fused) {
        out.push_back(renamed(all, expert + std::string(own) + parts.ending, shape));
        continue;
      }
      const std::size_t half = shape[0] / 2;
      const TensorView gate = all.row_range(0, half), up = all.row_range(half, half);
      out.push_back(renamed(gate, expert + "gate_proj" + parts.ending, gate.shape));
      out.push_back(renamed(up, expert + "up_proj" + parts.ending, up.shape));
    }
  }

  const Architecture& architecture_;
  const Metadata& metadata_;
  std::uint64_t layers_ = 0;
  std::uint64_t heads_ = 0, kv_heads_ = 0;  // of rows in pairs, or turned
  std::uint64_t rotated_ = 0;               // of a head's rows that are turned; 0: all
};

std::size_t width_of_heads(const TensorView& tensor, std::size_t heads) {
  const std::size_t rows = tensor.rows(), width = heads > 0 ? rows / heads : 0;
  if (width == 0 || width * heads != rows || width % 2 != 0 || rows > UINT32_MAX) {
    throw ModelError(
        fmt::format("tensor '{}': {} rows are not {} heads of an even width", tensor.name, rows, heads));
  }
  return width;
}

}  // namespace

std::vector<std::uint32_t> rows_in_halves(const TensorView& tensor, std::size_t heads) {
  const std::size_t rows = tensor.rows(), width = width_of_heads(tensor, heads);
  std::vector<std::uint32_t> row_of(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t in_head = row % width, half = in_head / (width / 2);
    row_of[row] = static_cast<std::uint32_t>(row - in_head + 2 * (in_head % (width / 2)) + half);
  }
  return row_of;
}

std::vector<std::uint32_t> rows_in_pairs(const TensorView& tensor, std::size_t heads, std::size_t rotated) {
  const std::size_t rows = tensor.rows(), width = width_of_heads(tensor, heads);
  if (rotated == 0) rotated = width;
  if (rotated > width || rotated % 2 != 0) {
    throw ModelError(fmt::format("tensor '{}': {} of the {} rows of a head cannot be turned", tensor.name,
                                 rotated, width));
  }
  std::vector<std::uint32_t> row_of(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t in_head = row % width;
    const std::size_t from = in_head < rotated ? in_head / 2 + in_head % 2 * (rotated / 2) : in_head;
    row_of[row] = static_cast<std::uint32_t>(row - in_head + from);
  }
  return row_of;
}

std::vector<TensorView> text_tensors(const Architecture& architecture, const Metadata& metadata,
                                     const Tensors& tensors) {
  const TensorNames names(architecture, metadata);
  std::vector<TensorView> out;
  for (const auto& [name, tensor] : tensors) {
    if (std::find(kTables.begin(), kTables.end(), name) == kTables.end()) names.add(name, tensor, out);
  }
  return out;
}

}  // namespace mmbatch::gguf
