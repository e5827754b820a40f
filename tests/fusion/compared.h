#pragma once

#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include "fusion/model.h"
#include "tests/checkers/parity_dual.h"
#include "tests/checkers/parity_generation.h"

namespace mmbatch::testing {

/// All that the checker does with a folder whose model may lie elsewhere.
/// @param change made to what is expected before anything is compared
inline parity::Report compare(const std::filesystem::path& folder, const std::filesystem::path& model_folder,
                              const std::function<void(parity::Reference&)>& change = {}) {
  const auto model = Model::load(model_folder);
  parity::Reference reference(folder, model->spec().eos, {}, model->files().generation);
  if (change) change(reference);
  const parity::Subject subject{*model, reference, AttentionKernel::flash};
  parity::Report report;
  parity::check_tokenizer(subject, report);
  parity::check_dual(subject, report);
  if (model->decoder() == nullptr) return report;
  std::vector<parity::PreparedCase> prepared;
  for (const auto& one : reference.cases) {
    if (auto ready = parity::check_prompt(subject, one, report)) prepared.push_back(std::move(*ready));
  }
  parity::GenerationOptions options;
  options.engine.kv_blocks = 64;
  options.concurrent = 16;
  parity::check_generations(subject, prepared, options, report);
  return report;
}

}  // namespace mmbatch::testing
