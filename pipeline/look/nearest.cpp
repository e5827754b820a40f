#include "pipeline/look/nearest.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/output/message.h"
#include "engine/base/threads.h"
#include "fusion/model.h"
#include "fusion/source/open_model.h"

namespace mmbatch {
namespace {

/// A run may have taken the fingerprint of samples, or with --verify-model of all bytes.
void check_unchanged(const EmbeddingModel& model) {
  std::error_code failed;
  if (!std::filesystem::is_directory(model.folder, failed)) {
    throw ModelError(
        fmt::format("--nearest TEXT needs the model that made the embeddings, but its folder {} is "
                    "not there: put it back, or name an item",
                    model.folder));
  }
  const auto weights = open_model(model.folder);
  for (const FingerprintScope scope : {FingerprintScope::samples, FingerprintScope::all_bytes}) {
    if (weights->fingerprint(scope) == model.fingerprint) return;
  }
  throw ModelError(
      fmt::format("{}: is no longer the model that made the embeddings: run the job again, or "
                  "name an item",
                  model.folder));
}

/// As the run computed: "int8", or "int8, kv …" of a cache that a dual encoder has not.
Precision precision_of(const EmbeddingModel& model) {
  return precision_from(model.precision.substr(0, model.precision.find(',')));
}

std::vector<float> embed(const EmbeddingModel& model, const std::string& text) {
  const ModelFiles files(model.folder);
  if (!files.spec.dual) throw ModelError(fmt::format("{}: not a dual encoder", model.folder));
  Features embedding;
  Arena arena(0);
  arena.run([&] {
    const TextStage stage({*files.weights, precision_of(model)}, files.tokenizer, *files.spec.dual);
    const PaddedText ids = stage.tokenize(text);
    const PaddedText* texts[] = {&ids};
    Scratch scratch;
    embedding = stage.encode(texts, scratch).front();
  });
  return {embedding->data(), embedding->data() + embedding->cols()};
}

}  // namespace

NearestTarget find_nearest_target(const std::filesystem::path& database, const std::string& what) {
  if (auto item = find_embedding(database, what)) return std::move(*item);
  const EmbeddingModel model = embedding_model(database);
  check_unchanged(model);
  say(fmt::format("no item '{}' has an embedding: taken as a text", what));
  return {embed(model, what), model.key, 0};
}

}  // namespace mmbatch
