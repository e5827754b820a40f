#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/nn/scratch.h"
#include "pipeline/stages/images/image_names.h"
#include "pipeline/watch/at_stage.h"
#include "vision/tower/feature_cache.h"

namespace mmbatch {

/// Encodes images, or texts: each distinct input once, several as one batch. Inputs are prepared by whoever
/// asks; whoever finds the encoder free encodes all that wait, until none is left. Thread-safe.
template <class Input>
class BatchEncoder {
 public:
  struct Options {
    std::size_t cache_bytes = 0;  // of features kept after use
    std::size_t batch = 8;        // inputs encoded together at most
    /// One result for each input.
    std::function<std::vector<Features>(std::span<const Input* const>, Scratch&)> encode;
    Stage preparing = Stage::preprocess;
    Stage encoding = Stage::encode_image;
  };
  struct Wanted {
    std::string key;  // equal keys stand for equal inputs
    std::function<Input()> prepare;
    /// What messages call it (images/image_names.h). Of equal inputs each has the name of who wants it.
    std::string name = {};
  };
  using Arrived = std::function<void(Result<std::vector<Features>>)>;

  BatchEncoder(Options options, Timeline& timeline)
      : options_(std::move(options)), timeline_(timeline), cache_(options_.cache_bytes) {}

  /// Calls `done` exactly once, with what was wanted in its order or with a fault: now, or from another
  /// thread's call.
  void operator()(std::vector<Wanted> wanted, Arrived done) {
    if (wanted.empty()) return done(std::vector<Features>{});
    const auto collector = std::make_shared<Collector>(wanted.size(), std::move(done));
    std::exception_ptr fatal;  // thrown when nobody waits any longer
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const auto ready = [collector, i, name = wanted[i].name](const Result<Features>& one) {
        collector->arrived(i, one ? one : with_name(one.error(), name));
      };
      if (!cache_.request(wanted[i].key, ready)) continue;
      try {
        prepare(wanted[i]);
      } catch (const std::exception& e) {
        fatal = std::current_exception();
        cache_.finish(wanted[i].key, Error{ErrorCode::internal, e.what()});  // others may wait for it
      }
    }
    encode_waiting(fatal);
  }

  std::size_t encoded() const { return encoded_; }
  std::size_t cache_hits() const { return cache_.hits(); }

 private:
  struct Waiting {
    std::string key;
    Input input;
  };

  /// Gathers what one caller wants, which may come from several threads.
  struct Collector {
    Collector(std::size_t count, Arrived done_) : done(std::move(done_)), features(count), missing(count) {}

    void arrived(std::size_t index, const Result<Features>& one) {
      {
        const std::lock_guard lock(mutex);
        if (one)
          features[index] = one.value();
        else
          error = one.error();
        if (--missing > 0) return;
      }
      if (error)
        done(*error);
      else
        done(std::move(features));
    }

    Arrived done;
    std::mutex mutex;
    std::vector<Features> features;
    std::optional<Error> error;
    std::size_t missing;
  };

  void prepare(const Wanted& wanted) {
    Result<Input> input = at_stage(timeline_, options_.preparing, {}, wanted.prepare);
    if (!input) return cache_.finish(wanted.key, input.error());
    const std::lock_guard lock(mutex_);
    waiting_.push_back({wanted.key, std::move(input.value())});
  }

  /// @param fatal thrown at the end, as is what goes wrong here
  void encode_waiting(std::exception_ptr fatal) {
    for (;;) {
      std::vector<Waiting> batch;
      {
        const std::lock_guard lock(mutex_);
        if (encoding_ || waiting_.empty()) break;
        const auto count = static_cast<std::ptrdiff_t>(std::min(options_.batch, waiting_.size()));
        batch.assign(std::move_iterator(waiting_.begin()), std::move_iterator(waiting_.begin() + count));
        waiting_.erase(waiting_.begin(), waiting_.begin() + count);
        encoding_ = true;
      }
      try {
        encode(batch);
      } catch (const std::exception& e) {
        fatal = std::current_exception();
        for (const Waiting& waiting : batch) cache_.finish(waiting.key, Error{ErrorCode::internal, e.what()});
      }
      const std::lock_guard lock(mutex_);
      encoding_ = false;
    }
    if (fatal) std::rethrow_exception(fatal);
  }

  void encode(const std::vector<Waiting>& batch) {
    std::vector<const Input*> inputs;
    for (const Waiting& waiting : batch) inputs.push_back(&waiting.input);
    const auto features = at_stage(timeline_, options_.encoding, {}, [&](CallNumbers& numbers) {
      numbers.add("inputs", batch.size());
      return encode_each(inputs);
    });
    encoded_ += batch.size();
    for (std::size_t i = 0; i < batch.size(); ++i)
      cache_.finish(batch[i].key, features ? checked(features.value()[i]) : features.error());
  }

  /// All together, or, where that fails, one by one: what is wrong with one of them is not the others' fault.
  std::vector<Result<Features>> encode_each(std::span<const Input* const> inputs) {
    const auto together = guarded([&] { return options_.encode(inputs, scratch_); });
    if (together) return {together.value().begin(), together.value().end()};
    if (inputs.size() == 1) return {together.error()};
    std::vector<Result<Features>> each;
    for (const Input* const& one : inputs) {
      const auto alone = guarded([&] { return options_.encode({&one, 1}, scratch_); });
      each.push_back(alone ? Result<Features>(alone.value().front()) : alone.error());
    }
    return each;
  }

  /// Numbers that are not finite would show late or not at all: a softmax of the model may hide them.
  Result<Features> checked(const Result<Features>& encoded) {
    if (!encoded) {
      timeline_.failed(options_.encoding);
      return encoded;
    }
    const Features& features = encoded.value();
    for (std::size_t row = 0; row < features->rows(); ++row) {
      const float* const values = features->row(row);
      const auto finite = [](float value) { return std::isfinite(value); };
      if (std::all_of(values, values + features->cols(), finite)) continue;
      timeline_.failed(options_.encoding);
      return Error{
          ErrorCode::internal,
          "what the model computes of this input is not finite: its weights are damaged, or too large "
          "for this precision"};
    }
    return features;
  }

  const Options options_;
  Timeline& timeline_;
  FeatureCache cache_;
  Scratch scratch_;  // of the one thread that encodes
  std::atomic<std::size_t> encoded_{0};

  std::mutex mutex_;
  // Guarded by mutex_:
  std::vector<Waiting> waiting_;
  bool encoding_ = false;
};

}  // namespace mmbatch
