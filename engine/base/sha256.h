#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mmbatch {

/// SHA-256 of bytes that come piece by piece. Move-only.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(const void* data, std::size_t bytes);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  /// The text with its length before it, so that no two sequences of fields give the same bytes.
  Sha256& field(std::string_view text);
  Sha256& field(std::uint64_t number);
  /// 32 raw bytes; ends this hash.
  std::string digest();
  /// 64 lower-case hexadecimal digits; ends this hash.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);

}  // namespace mmbatch
