#include "engine/decoder/output_head.h"

#include <utility>

#include "engine/kernels/rows.h"
#include "engine/kernels/simd.h"
#include "engine/nn/calibration.h"

namespace mmbatch {
namespace {

/// The embedding as the head: in a packed folder, which keeps the embedding for looking rows up, packed
/// beside it.
TensorView tied_head(const Weights& weights, const DecoderNames& names, TensorView embedding) {
  const std::string beside = names.embedding + ".head.weight";
  if (weights.has(beside)) return weights.tensor(beside, embedding.shape);
  embedding.name = beside;
  return embedding;
}

}  // namespace

OutputHead::OutputHead(const Weights& weights, const DecoderConfig& config, const DecoderNames& names,
                       const TensorView& embedding)
    : transform_config_(config.head_transform),
      vocab_(config.vocab),
      divisor_(config.logit_divisor),
      softcap_(config.logit_softcap) {
  if (!names.norm.empty()) norm_.emplace(weights, names.norm, config.hidden, config.norm);
  if (transform_config_) {
    transform_ = Linear(weights, {names.head_transform, config.hidden}, config.hidden, Bias::present);
    transform_norm_ = Norm(weights, names.head_transform_norm, config.hidden, transform_config_->norm);
  }
  const Weights head = weights.in(head_precision(weights.precision));
  const TensorView head_weight = names.head.empty()
                                     ? tied_head(weights, names, embedding)
                                     : weights.tensor(names.head + ".weight", {config.vocab, config.hidden});
  std::vector<float> bias;
  if (!names.head_bias.empty()) bias = to_floats(weights.tensor(names.head_bias, {config.vocab}));
  if (weights.slices)
    head_ = SlicedHead(head, head_weight, bias);
  else
    head_ = Linear(PackedMatrix({head.pack(head_weight)}), std::move(bias));
  if (weights.hooks.calibration == nullptr || !norm_) return;
  norm_->show_to(weights.hooks.calibration->add(names.norm, config.norm, {{head_weight}}));
}

Matrix<float> OutputHead::logits(MatrixView<float> x, Matrix<float> memory) const {
  if (norm_) norm_->forward(x, x);
  Matrix<float> transformed;
  if (transform_config_) {
    transformed = Matrix<float>(x.rows, x.cols);
    transform_.forward(x, transformed.view(), {.activation = transform_config_->activation});
    transform_norm_.forward(transformed.view(), transformed.view());
    x = transformed.view();
  }
  Matrix<float> logits;
  if (const auto* sliced = std::get_if<SlicedHead>(&head_)) {
    logits = sliced->forward(x);
  } else {
    logits = Matrix<float>::in_memory_of(std::move(memory), x.rows, vocab_);
    std::get<Linear>(head_).forward(x, logits.view());
  }
  if (divisor_ != 1.0f) {
    parallel_rows(logits.rows(), [&](std::size_t r) {
      for (std::size_t i = 0; i < vocab_; ++i) logits.row(r)[i] /= divisor_;
    });
  }
  if (softcap_ > 0)
    parallel_rows(logits.rows(), [&](std::size_t r) { simd().softcap(logits.row(r), vocab_, softcap_); });
  return logits;
}

}  // namespace mmbatch
