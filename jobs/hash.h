#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/item.h"

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

/// All that an answer depends on; two items with equal parts get equal answers. Turns, system text and
/// generation settings are nothing to the tasks without a decoder.
struct ContentParts {
  const Item* item = nullptr;  // task, form, prompt or messages
  std::string turn_format;     // the turns really used, and the system text
  std::string system;
  std::vector<std::string> image_sha256;  // in the order of Item::images
  std::string model_fingerprint;
  std::string precision;   // of weights and of the KV cache
  std::string generation;  // to_json(GenerationConfig) of the merged settings
};

/// SHA-256 (hex) of the parts; the key by which a run resumes.
std::string content_key(const ContentParts& parts);

/// Whether a fingerprint reads samples of the weights, or all bytes (`--verify-model`).
enum class FingerprintScope { samples, all_bytes };

/// SHA-256 (hex) of a checkpoint folder: of the small files that shape answers (*.json, *.model, *.jinja,
/// merges.txt, vocab.txt), and of each *.safetensors its header, size and 64 evenly spaced samples of 64 KiB,
/// or all bytes.
/// @throws ModelError when the folder or one of these files cannot be read.
std::string model_fingerprint(const std::filesystem::path& folder, FingerprintScope scope);

}  // namespace mmbatch
