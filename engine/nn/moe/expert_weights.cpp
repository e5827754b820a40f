#include "engine/nn/moe/expert_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/kernels/matmul_kernel.h"

namespace mmbatch {
namespace {

bool stored_in_one(const Weights& weights, const ExpertsConfig& config, const ExpertNames& names) {
  return !names.all_gate_up.empty() && !weights.has(of_expert(names.gate, config.first) + ".weight");
}

/// Which of the last two dimensions is the output's.
enum class Storage { output_first, input_first };

/// By both tensors: each alone may have the same shape either way.
Storage storage_of(const TensorView& gate_up, const TensorView& down, const ExpertsConfig& config,
                   const std::filesystem::path& path) {
  const std::size_t e = config.experts, h = config.hidden, i = config.ffn;
  using Shape = std::vector<std::size_t>;
  const Shape gate_up_shape{e, 2 * i, h}, down_shape{e, h, i};
  const Shape gate_up_turned{e, h, 2 * i}, down_turned{e, i, h};
  if (gate_up.shape == gate_up_shape && down.shape == down_shape) return Storage::output_first;
  if (gate_up.shape == gate_up_turned && down.shape == down_turned) return Storage::input_first;
  throw ModelError(fmt::format(
      "{}: tensors '{}' and '{}': expected shapes {} and {}, or {} and {}, by config.json, found {} and {}",
      path.string(), gate_up.name, down.name, shape_text(gate_up_shape), shape_text(down_shape),
      shape_text(gate_up_turned), shape_text(down_turned), shape_text(gate_up.shape),
      shape_text(down.shape)));
}

/// Rows first, first + step, … of one expert's matrix [rows, cols] in a tensor of all.
struct Slice {
  std::size_t expert;
  std::size_t rows, cols;  // of the expert's whole matrix
  std::size_t first, step, count;
};

MatrixPart slice_of(const TensorView& all, Storage storage, const Slice& slice, std::string name) {
  const bool rows_first = storage == Storage::output_first;
  const std::size_t row_step = rows_first ? slice.cols : 1;
  MatrixPart part(all);
  part.name = std::move(name);
  part.rows = slice.count;
  part.cols = slice.cols;
  part.first = slice.expert * slice.rows * slice.cols + slice.first * row_step;
  part.row_step = slice.step * row_step;
  part.column_step = rows_first ? 1 : slice.rows;
  return part;
}

std::vector<ExpertParts> parts_in_one(const Weights& weights, const ExpertsConfig& config,
                                      const ExpertNames& names) {
  const TensorView& gate_up = weights.source.tensor(names.all_gate_up);
  const TensorView& down = weights.source.tensor(names.all_down);
  const Storage storage = storage_of(gate_up, down, config, weights.source.path());
  const std::size_t ffn = config.ffn, hidden = config.hidden;
  const bool halves = config.order == GateUpOrder::halves;
  std::vector<ExpertParts> parts;
  for (std::size_t e = config.first; e < config.first + config.own(); ++e) {
    const Slice gate{e, 2 * ffn, hidden, 0, halves ? 1u : 2u, ffn};
    const Slice up{e, 2 * ffn, hidden, halves ? ffn : 1, gate.step, ffn};
    parts.push_back(
        {slice_of(gate_up, storage, gate, of_expert(names.gate, e) + ".weight"),
         slice_of(gate_up, storage, up, of_expert(names.up, e) + ".weight"),
         slice_of(down, storage, {e, hidden, ffn, 0, 1, hidden}, of_expert(names.down, e) + ".weight")});
  }
  return parts;
}

/// Rows of both halves of a bias as the packed gate and up have them: gate's, then up's.
std::vector<float> in_halves(const float* both, std::size_t ffn, GateUpOrder order) {
  if (order == GateUpOrder::halves) return {both, both + 2 * ffn};
  std::vector<float> halves(2 * ffn);
  for (std::size_t i = 0; i < ffn; ++i) {
    halves[i] = both[2 * i];
    halves[ffn + i] = both[2 * i + 1];
  }
  return halves;
}

void add_biases(std::vector<Expert>& experts, const Weights& weights, const ExpertsConfig& config,
                const ExpertNames& names) {
  const std::size_t ffn = config.ffn, hidden = config.hidden;
  if (!names.all_gate_up_bias.empty() && weights.has(names.all_gate_up_bias)) {
    const auto gate_up = to_floats(weights.tensor(names.all_gate_up_bias, {config.experts, 2 * ffn}));
    const auto down = to_floats(weights.tensor(names.all_down_bias, {config.experts, hidden}));
    for (std::size_t e = 0; e < experts.size(); ++e) {
      const std::size_t number = config.first + e;
      experts[e].gate_up_bias = in_halves(&gate_up[number * 2 * ffn], ffn, config.order);
      experts[e].down_bias.assign(&down[number * hidden], &down[number * hidden] + hidden);
    }
    return;
  }
  for (std::size_t e = 0; e < experts.size(); ++e) {
    for (const std::string& name : {names.gate, names.up}) {
      const auto bias = to_floats(weights.tensor(of_expert(name, config.first + e) + ".bias", {ffn}));
      experts[e].gate_up_bias.insert(experts[e].gate_up_bias.end(), bias.begin(), bias.end());
    }
    experts[e].down_bias =
        to_floats(weights.tensor(of_expert(names.down, config.first + e) + ".bias", {hidden}));
  }
}

/// Whether a quantized file holds some matrices of experts as integers in groups: rows of all experts'
/// products are put into one form, so that then those that are stored as floats, of whatever width, have to
/// be, too.
bool some_in_groups(const std::vector<ExpertParts>& parts) {
  return std::any_of(parts.begin(), parts.end(), [](const ExpertParts& of) {
    const auto in_groups = [](const MatrixPart& part) {
      const Grouping* grouping = stored_grouping(part);
      return grouping != nullptr && grouping->codes == Grouping::Codes::integers;
    };
    return in_groups(of.gate) || in_groups(of.up) || in_groups(of.down);
  });
}

/// Of a packed file, anything may be said of any matrix.
void check_rows_alike(const std::vector<Expert>& experts, const Weights& weights, const std::string& name) {
  const Expert &first = experts.front(), &last = experts.back();
  if (last.gate_up.rows_alike() && last.gate_up.kernel().takes_rows_of(first.gate_up.kernel()) &&
      last.down.kernel().takes_rows_of(first.down.kernel()) && last.gate_up.order().empty() &&
      last.down.order().empty())
    return;
  throw ModelError(
      fmt::format("{}: the experts' matrices are packed in layouts that cannot be multiplied together, "
                  "beginning with '{}'. Pack the published checkpoint again with mmbatch quantize",
                  weights.source.path().string(), name));
}

}  // namespace

std::string of_expert(const std::string& pattern, std::size_t expert) {
  static constexpr std::string_view kPlace = "{expert}";
  std::string name = pattern;
  const std::size_t at = name.find(kPlace);
  return at == std::string::npos ? name : name.replace(at, kPlace.size(), std::to_string(expert));
}

std::vector<ExpertParts> expert_parts(const Weights& weights, const ExpertsConfig& config,
                                      const ExpertNames& names) {
  if (stored_in_one(weights, config, names)) return parts_in_one(weights, config, names);
  const auto whole = [&](const std::string& pattern, std::size_t e, std::size_t out, std::size_t in) {
    return MatrixPart(weights.tensor(of_expert(pattern, e) + ".weight", {out, in}));
  };
  std::vector<ExpertParts> parts;
  for (std::size_t e = config.first; e < config.first + config.own(); ++e) {
    parts.push_back({whole(names.gate, e, config.ffn, config.hidden),
                     whole(names.up, e, config.ffn, config.hidden),
                     whole(names.down, e, config.hidden, config.ffn)});
  }
  return parts;
}

std::vector<Expert> load_experts(const Weights& weights, const ExpertsConfig& config,
                                 const ExpertNames& names) {
  const std::vector<ExpertParts> all = expert_parts(weights, config, names);
  const bool in_groups =
      weights.precision == Precision::stored && !weights.source.packed() && some_in_groups(all);
  const auto pack = [&](const MatrixPart& part) {
    return in_groups ? weights.pack_in_groups(part) : weights.pack(part);
  };
  std::vector<Expert> experts;
  for (const ExpertParts& parts : all) {
    experts.push_back(
        {PackedMatrix({pack(parts.gate), pack(parts.up)}), PackedMatrix({pack(parts.down)}), {}, {}});
    check_rows_alike(experts, weights, parts.gate.name);
  }
  if (stored_in_one(weights, config, names)) {
    weights.divided(names.all_gate_up);
    weights.divided(names.all_down);
  }
  if (config.bias == Bias::present) add_biases(experts, weights, config, names);
  return experts;
}

}  // namespace mmbatch
