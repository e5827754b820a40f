#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "vision/tower/features.h"

namespace mmbatch {

/// Features by image content, each image with its own number of rows, kept up to a budget of bytes, the least
/// recently used dropped first. An image that is being encoded is not encoded again: who asks meanwhile waits
/// in line. Thread-safe.
class FeatureCache {
 public:
  using Ready = std::function<void(const Result<Features>&)>;

  /// @param budget bytes of features that nobody may be using; 0 keeps none (images in flight are still
  /// shared).
  explicit FeatureCache(std::size_t budget) : budget_(budget) {}

  /// Calls `ready` with the features of `key`: now if they are here, or when the encoding under way is done.
  /// @return true when the caller has to encode the image and hand it to finish().
  [[nodiscard]] bool request(const std::string& key, Ready ready);
  /// Hands the features, or the fault, to everybody who waits for `key`.
  void finish(const std::string& key, Result<Features> features);

  std::size_t hits() const;
  std::size_t misses() const;
  std::size_t bytes() const;

 private:
  struct Entry {
    Features features;
    std::list<std::string>::iterator age;
  };
  void keep(const std::string& key, const Features& features);

  const std::size_t budget_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> ages_;  // front = least recently used
  std::unordered_map<std::string, std::vector<Ready>> in_flight_;
  std::size_t bytes_ = 0;
  std::size_t hits_ = 0;
  std::size_t misses_ = 0;
};

}  // namespace mmbatch
