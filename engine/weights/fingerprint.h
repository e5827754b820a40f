#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mmbatch {

/// Whether a fingerprint reads samples of the weights, or all bytes (`--verify-model`).
enum class FingerprintScope { samples, all_bytes };

/// SHA-256 (hex) of a checkpoint folder: of the small files that shape answers (*.json, *.model, *.jinja,
/// merges.txt, vocab.txt), and of each *.safetensors its header, size and 64 evenly spaced samples of 64 KiB,
/// or all bytes.
/// @throws ModelError when the folder or one of these files cannot be read.
std::string folder_fingerprint(const std::filesystem::path& folder, FingerprintScope scope);

/// A file of weights: its header, which is read whole, is this many bytes.
struct FingerprintFile {
  std::filesystem::path path;
  std::uint64_t header_bytes = 0;
};

/// The same of models that are files, and not a folder.
/// @throws ModelError when one of them cannot be read.
std::string files_fingerprint(const std::vector<FingerprintFile>& files, FingerprintScope scope);

}  // namespace mmbatch
