#include "tests/checkers/stages/parity_layers.h"

#include <algorithm>

namespace mmbatch::parity {
namespace {

Matrix<float> positions_of(const Prompt& prompt) {
  Matrix<float> positions(3, prompt.tokens());
  for (std::size_t i = 0; i < prompt.tokens(); ++i) {
    const RopePosition position = rope_position(prompt, i);
    positions.row(0)[i] = static_cast<float>(position.time);
    positions.row(1)[i] = static_cast<float>(position.row);
    positions.row(2)[i] = static_cast<float>(position.column);
  }
  return positions;
}

}  // namespace

void check_layers(const Subject& subject, const ReferenceCase& reference_case, const Prompt& prompt,
                  Report& report) {
  const std::string& name = reference_case.name;
  constexpr double kExact = 1e-9;
  if (!prompt.positions.empty())
    check_tensor(subject, name + ".positions", positions_of(prompt).view(), kExact, report);
  const bool any = subject.reference.tensor(name + ".embeds") != nullptr ||
                   subject.reference.tensor(name + ".layer0") != nullptr ||
                   subject.reference.tensor(name + ".layers_last") != nullptr;
  if (!any) return;

  const DecoderConfig& config = subject.model.decoder()->config();
  Matrix<float> last(config.layers.size(), config.hidden);
  Scratch scratch;
  scratch.on_input = [&](Scratch::Before, MatrixView<const float> rows) {
    check_tensor(subject, name + ".embeds", rows, 0, report);
  };
  scratch.on_layer = [&](std::size_t layer, MatrixView<const float> rows) {
    if (layer == 0) check_tensor(subject, name + ".layer0", rows, 0, report);
    std::copy_n(rows.row(rows.rows - 1), config.hidden, last.row(layer));
  };
  compute_logits(subject, prompt, {}, prompt.tokens(), scratch);
  check_tensor(subject, name + ".layers_last", last.view(), 0, report);
}

}  // namespace mmbatch::parity
