#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/base/mapped_file.h"
#include "engine/weights/gguf/gguf_metadata.h"
#include "engine/weights/tensor.h"

namespace mmbatch {

/// One mapped GGUF file, version 2 or 3, little-endian.
///
///   file   := "GGUF" version:u32 tensors:u64 keys:u64 key* tensor* padding data
///   key    := name:text type:u32 value
///   tensor := name:text dimensions:u32 size:u64* type:u32 offset:u64
///   text   := bytes:u64 UTF-8
///
/// A tensor's first size is the length of its rows, so that its shape here is the reverse; its blocks run
/// along the rows. Offsets count from the data's begin, a multiple of "general.alignment" (32). All of this
/// is checked before any tensor is seen.
class GgufFile {
 public:
  static constexpr std::uint64_t kMaxTensors = 1u << 20;

  /// Whether the file begins as one of GGUF does; false when it cannot be read.
  static bool is_gguf(const std::filesystem::path& path);

  /// @throws ModelError naming file, key or tensor, what was expected and what was found
  explicit GgufFile(const std::filesystem::path& path);

  const gguf::Metadata& metadata() const { return metadata_; }
  /// Tensors whose elements can be read, by name.
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  /// Names and types of all others, such as integers.
  const std::map<std::string, std::string>& other_tensors() const { return others_; }
  const std::filesystem::path& path() const { return file_.path(); }
  std::size_t bytes() const { return file_.bytes().size(); }
  /// Bytes before the tensors' data.
  std::size_t header_bytes() const { return header_bytes_; }
  /// The bytes of a file that has the same keys, and no tensors.
  std::string keys_alone() const;

 private:
  struct Extent;
  Extent read_tensor(gguf::ByteCursor& cursor);
  void place_tensors(std::vector<Extent> extents, std::size_t data_begin);

  MappedFile file_;
  std::size_t header_bytes_ = 0, keys_end_ = 0;
  gguf::Metadata metadata_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> others_;
};

/// A file, or the first of several shards NAME-00001-of-00003.gguf and the others beside it.
/// @throws ModelError naming a shard that is missing, or that does not belong to the first
std::vector<GgufFile> open_gguf(const std::filesystem::path& path);

}  // namespace mmbatch
