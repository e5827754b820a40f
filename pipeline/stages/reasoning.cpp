#include "pipeline/stages/reasoning.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "jobs/item/job_place.h"

namespace mmbatch {

std::shared_ptr<const ReasoningFormat> reasoning_of(const Job& job, const ModelFiles& files) {
  if (!job.reasoning_marks) {
    const auto found = find_reasoning(*files.tokenizer);
    return found ? std::make_shared<const ReasoningFormat>(*found) : nullptr;
  }
  if (job.reasoning_marks->empty()) return nullptr;
  try {
    return std::make_shared<const ReasoningFormat>(
        reasoning_between(*files.tokenizer, job.reasoning_marks->front(), job.reasoning_marks->back()));
  } catch (const ItemError& e) {
    throw UsageError(place_of(job) + e.what());
  }
}

std::shared_ptr<const ReasoningTracker> make_tracker(const ReasoningFormat& format,
                                                     const Tokenizer& tokenizer,
                                                     std::span<const std::int32_t> prompt,
                                                     const GenerationConfig& generation) {
  std::optional<std::size_t> limit;
  if (generation.max_reasoning_tokens) limit = static_cast<std::size_t>(*generation.max_reasoning_tokens);
  return std::make_shared<const ReasoningTracker>(
      ReasoningMarks{.open = format.open, .close = format.close, .written = format.written},
      ends_inside(tokenizer, format, prompt) ? ReasoningStart::inside : ReasoningStart::at_mark, limit);
}

AnswerStream::AnswerStream(std::shared_ptr<const Tokenizer> tokenizer,
                           std::shared_ptr<const ReasoningFormat> format,
                           std::shared_ptr<const ReasoningTracker> tracker)
    : tokenizer_(std::move(tokenizer)),
      format_(std::move(format)),
      tracker_(std::move(tracker)),
      answer_(tokenizer_->stream()) {
  if (tracker_) state_ = tracker_->start();
}

AnswerStream::Piece AnswerStream::push(std::int32_t token) {
  using Phase = ReasoningTracker::Phase;
  Piece piece;
  const Phase before = state_.phase;
  if (tracker_) state_ = tracker_->next(state_, token);
  if (before == Phase::answer) {
    push_answer(token, piece.answer);
  } else if (before == Phase::at_mark) {
    waiting_.push_back(token);
    if (state_.phase == Phase::answer) {
      for (const std::int32_t one : waiting_) push_answer(one, piece.answer);
    }
    if (state_.phase != Phase::at_mark) waiting_.clear();
  } else {
    thought_ = true;
    if (state_.phase == Phase::answer || before == Phase::written) return piece;
    if (!thoughts_) thoughts_.emplace(*tokenizer_, *format_);
    // What may be the closing mark waits until it is known.
    waiting_.push_back(token);
    const std::size_t kept = state_.phase == Phase::inside ? state_.progress : 0;
    while (waiting_.size() > kept) {
      thoughts_->push(waiting_.front(), piece.thoughts);
      waiting_.erase(waiting_.begin());
    }
  }
  return piece;
}

void AnswerStream::push_answer(std::int32_t token, std::string& out) {
  std::string text;
  answer_->push(token, text);
  if (thought_) text = std::string(strip_left(text));
  if (!text.empty()) thought_ = false;
  out += text;
}

AnswerStream::Piece AnswerStream::finish() {
  Piece piece;
  if (state_.phase == ReasoningTracker::Phase::at_mark) {
    for (const std::int32_t one : waiting_) push_answer(one, piece.answer);
  }
  if (thoughts_) thoughts_->finish(piece.thoughts);
  answer_->finish(piece.answer);
  return piece;
}

}  // namespace mmbatch
