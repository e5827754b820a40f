#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "jobs/media.h"
#include "pipeline/messages.h"
#include "vision/feature_cache.h"
#include "vision/image_decode.h"

namespace mmbatch {

struct EncodeImageOptions {
  std::size_t cache_bytes = std::size_t{1} << 30;  // features kept after use
  std::size_t batch = 8;                           // images encoded together at most
  MediaLimits media;
  ImageLimits image;
};

/// Encodes the images of items: each distinct image once, several images as one batch. Images are read and
/// preprocessed by whoever asks; whoever finds the encoder free encodes all that wait, until none is left.
/// Thread-safe.
class EncodeImage {
 public:
  using Done = std::function<void(ImagesEncoded)>;

  /// @throws ModelError when images cannot be decoded at all.
  EncodeImage(const Model& model, EncodeImageOptions options);

  /// Calls `done` exactly once, now or from another thread's call.
  void operator()(Ticket ticket, Done done);

  std::size_t images_encoded() const { return encoded_; }
  std::size_t cache_hits() const { return cache_.hits(); }
  /// Time spent in the encoder, and in reading and preprocessing (added up over threads).
  double encode_seconds() const { return static_cast<double>(encode_us_) / 1e6; }
  double preprocess_seconds() const { return static_cast<double>(preprocess_us_) / 1e6; }

 private:
  struct Waiting {
    std::string key;
    PixelValues pixels;
  };
  struct Collector;

  void prepare(const std::string& key, const Item::Image& image);
  void encode_waiting();
  void encode(std::vector<Waiting> batch);

  const Model& model_;
  const EncodeImageOptions options_;
  FeatureCache cache_;
  Scratch scratch_;  // of the one thread that encodes
  std::atomic<std::size_t> encoded_{0};
  std::atomic<std::int64_t> encode_us_{0}, preprocess_us_{0};

  std::mutex mutex_;
  // Guarded by mutex_:
  std::vector<Waiting> waiting_;
  bool encoding_ = false;
};

}  // namespace mmbatch
