#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/base/mapped_file.h"
#include "engine/weights/tensor.h"

namespace mmbatch {

/// What the bytes of packed tensors mean: raised whenever engine/kernels/panel.h lays them out differently.
constexpr int kPackedLayout = 2;

/// A tensor of a type that the engine does not compute with: what the parts of quantized weights are.
struct RawTensor {
  std::string type;  // as safetensors names it, such as I32 or F8_E4M3
  std::vector<std::size_t> shape;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
};

/// One mapped safetensors file.
///
///   file   := length header data
///   length := 8 bytes, little-endian, bytes of header
///   header := JSON {name: {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, "__metadata__":
///   {..}} data   := the tensors' bytes, one after another without gaps; offsets count from its start
///
/// All of this is checked before any tensor is seen.
///
/// A packed file, as mmbatch quantize writes it, has in __metadata__ "mmbatch.packed": the precision of its
/// layers; "mmbatch.layout": kPackedLayout; and for every packed tensor, which is of type U8, "packed:NAME":
/// "PRECISION ROWS COLS": what was packed, with the name of a grouping (engine/weights/groups) in place of a
/// precision where that is stored, and " ordered" behind it where the order of the inputs follows the
/// numbers, uint32[COLS]. "blocks:NAME": "TYPE ROWS COLS", a tensor of type U8 that holds the blocks of a
/// GGUF file, to be read row by row. "mmbatch.smoothed", for people: how channels were evened out before.
class SafetensorsFile {
 public:
  /// @throws ModelError naming file, tensor, what was expected and what was found.
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// Tensors of the types that the engine computes with, by name.
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  /// Names and types of tensors of other types: integers, float64, and what this version does not know.
  const std::map<std::string, std::string>& other_tensors() const { return others_; }
  /// Those of them whose types are known, so that they have the bytes that their shapes need.
  const std::map<std::string, RawTensor>& raw_tensors() const { return raw_; }
  /// Bytes of the length field and the header: where the data begins.
  std::size_t data_begin() const { return data_begin_; }
  std::size_t bytes() const { return file_.bytes().size(); }
  const std::filesystem::path& path() const { return file_.path(); }
  /// The precision of a packed file's layers.
  std::optional<Precision> packed() const { return packed_; }
  /// How a packed file's channels were evened out before rounding; empty: not at all.
  const std::string& smoothed() const { return smoothed_; }

 private:
  void read_tensors(const Config& header);

  MappedFile file_;
  std::size_t data_begin_ = 0;
  std::optional<Precision> packed_;
  std::string smoothed_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> others_;
  std::map<std::string, RawTensor> raw_;
};

}  // namespace mmbatch
