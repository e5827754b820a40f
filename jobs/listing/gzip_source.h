#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace mmbatch {

/// The bytes of an open file: inflated when it begins as gzip files do, otherwise as they are. Several gzip
/// members one after the other are one text; zeros may follow the last, as tapes pad it. Not thread-safe.
class GzipSource {
 public:
  /// Owns the descriptor.
  explicit GzipSource(int descriptor);
  ~GzipSource();
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  /// Reads at most `size` bytes; 0 at the end, or when something is wrong. What comes before the fault is
  /// given first.
  std::size_t read(char* out, std::size_t size);
  /// Why reading ended before the end of the file; empty when it did not.
  const std::string& fault() const { return fault_; }

 private:
  struct State;
  bool refill();
  bool begin_member();

  std::unique_ptr<State> state_;
  std::string fault_;
};

}  // namespace mmbatch
