#include "pipeline/quality/quality_trace.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/kernels/product/precision_choice.h"
#include "fusion/prompting.h"
#include "pipeline/stages/decode.h"

namespace mmbatch {
namespace {

constexpr std::size_t kBlockTokens = 32;

/// @param layers what each layer of the encoder made is added to it; null: it is not wanted
std::vector<EncodedImage> encode(const Model& model, const QualityItem& item,
                                 std::vector<Matrix<float>>* layers) {
  std::vector<EncodedImage> encoded;
  if (model.images() == nullptr) return encoded;
  Scratch scratch;
  if (layers != nullptr) {
    scratch.on_layer = [layers](std::size_t, MatrixView<const float> rows) {
      Matrix<float>& copy = layers->emplace_back(rows.rows, rows.cols);
      for (std::size_t r = 0; r < rows.rows; ++r) std::copy_n(rows.row(r), rows.cols, copy.row(r));
    };
  }
  for (const Image& image : item.images()) {
    const PixelValues pixels = model.files().images->prepare(image);
    const PixelValues* const one[] = {&pixels};
    encoded.push_back({model.images()->encode(one, scratch).projected.front(), {}});
  }
  return encoded;
}

/// One pass over a prompt and the first tokens of an answer to it.
class Pass {
 public:
  Pass(const Model& model, const Prompt& prompt, std::span<const std::int32_t> answer, KvPrecision format)
      : groups_(CacheLayout(model.decoder()->config(), kBlockTokens, format).groups.size()),
        table_blocks_((prompt.tokens() + answer.size()) / kBlockTokens + 1),
        blocks_(groups_ * table_blocks_),
        pool_(model.decoder()->config(), blocks_.size(), kBlockTokens, format, /*state_slots=*/1) {
    std::iota(blocks_.begin(), blocks_.end(), 0);
    StepBatch batch;
    // The last token of the answer is only predicted.
    const std::size_t tokens = prompt.tokens() + answer.size() - 1;
    batch.add({.prompt = prompt,
               .answer = answer,
               .draft = {},
               .first = 0,
               .count = tokens,
               .logit_rows = answer.size(),
               .rope_tokens = tokens,
               .state_after = 0});
    for (std::size_t g = 0; g < groups_; ++g) {
      batch.add_table(std::span(blocks_).subspan(g * table_blocks_, table_blocks_));
    }
    Scratch scratch;
    logits_ = model.decoder()->forward(batch, pool_, scratch);
    tokens_ = tokens;
  }

  Matrix<float> take_logits() { return std::move(logits_); }

  /// Keys and values of all positions of a layer, of a cache in float32.
  Matrix<float> layer(std::size_t layer, std::size_t kv_heads) {
    const LayerCache cache = pool_.layer(layer);
    const std::size_t first_block = pool_.group_of(layer) * table_blocks_;
    const std::size_t head_dim = cache.layout.head_dim;
    Matrix<float> out(2, tokens_ * kv_heads * head_dim);
    for (std::size_t p = 0; p < tokens_; ++p) {
      const auto block = static_cast<std::size_t>(blocks_[first_block + p / kBlockTokens]);
      for (std::size_t head = 0; head < kv_heads; ++head) {
        const std::size_t from = block * cache.block_stride + head * cache.head_stride,
                          to = (p * kv_heads + head) * head_dim;
        cache.layout.load(RowKind::key, cache.keys + from, p % kBlockTokens, out.row(0) + to);
        cache.layout.load(RowKind::value, cache.values + from, p % kBlockTokens, out.row(1) + to);
      }
    }
    return out;
  }

 private:
  std::size_t groups_, table_blocks_;
  std::vector<std::int32_t> blocks_;  // [groups, table_blocks]
  KvPool pool_;
  Matrix<float> logits_;
  std::size_t tokens_ = 0;
};

/// The greedy answers to all prompts, computed together as a run would.
void answer(const Model& model, std::optional<KvPrecision> kv_precision,
            const std::vector<QualityItem>& items, const std::vector<std::shared_ptr<const Prompt>>& prompts,
            std::vector<QualityTrace>& traces) {
  EngineOptions options;
  options.kv_precision = kv_precision;
  Engine engine(model.decoder(), vocabulary_of(model), options);
  for (std::size_t i = 0; i < items.size(); ++i) {
    GenerationConfig greedy;
    greedy.max_new_tokens = static_cast<int>(items[i].max_new_tokens);
    Request request = make_request(model, prompts[i], greedy);
    request.on_done = [&model, &trace = traces[i]](const Result<Completion>& done) {
      if (!done) throw UsageError(done.error().message);
      const Answer& best = done.value().answers.front();
      trace.answer = best.tokens;
      trace.text = model.tokenizer().decode(best.tokens);
      // Where it ended is compared too.
      if (best.finish_reason == FinishReason::stop && !model.spec().eos.empty())
        trace.answer.push_back(model.spec().eos.front());
    };
    engine.submit(std::move(request));
  }
  while (engine.step()) {
  }
}

}  // namespace

std::vector<QualityTrace> trace_items(const Model& model, std::optional<KvPrecision> kv_precision,
                                      const std::vector<QualityItem>& items,
                                      const std::vector<QualityTrace>* reference, const TraceLimits& limits) {
  std::vector<QualityTrace> traces(items.size());
  std::vector<std::shared_ptr<const Prompt>> prompts;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool keep_layers = i < limits.layer_items;
    std::vector<EncodedImage> images =
        encode(model, items[i], keep_layers ? &traces[i].vision_layers : nullptr);
    for (std::size_t k = 0; k < images.size(); ++k) {
      images[k].key = i * 1000 + k + 1;
      traces[i].image_features.push_back(images[k].features);
    }
    prompts.push_back(model.compose(items[i].ids, images));
  }
  answer(model, kv_precision, items, prompts, traces);

  const DecoderConfig& config = model.decoder()->config();
  const KvPrecision format = choose_kv_precision(kv_precision, model.precision());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::vector<std::int32_t>& tokens =
        reference == nullptr ? traces[i].answer : (*reference)[i].answer;
    const auto compared = std::span(tokens).first(std::min(tokens.size(), limits.positions));
    traces[i].logits = Pass(model, *prompts[i], compared, format).take_logits();
    if (i >= limits.layer_items) continue;
    Pass exact(model, *prompts[i], compared, KvPrecision::f32);
    for (std::size_t layer = 0; layer < config.layers.size(); ++layer)
      traces[i].layers.push_back(exact.layer(layer, config.layers[layer].attention.shape.kv_heads));
  }
  return traces;
}

}  // namespace mmbatch
