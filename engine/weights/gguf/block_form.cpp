#include "engine/weights/gguf/block_form.h"

#include <algorithm>
#include <optional>

namespace mmbatch::gguf {
namespace {

std::optional<DType> plain_type(const BlockType& type) {
  if (type.name == "F32") return DType::f32;
  if (type.name == "F16") return DType::f16;
  if (type.name == "BF16") return DType::bf16;
  return {};
}

class BlockForm final : public StoredForm {
 public:
  BlockForm(const BlockType& type, const std::byte* data, std::size_t elements)
      : type_(type),
        data_(reinterpret_cast<const std::uint8_t*>(data)),
        bytes_(elements / type.elements * type.bytes) {}

  std::string_view name() const override { return type_.name; }
  std::size_t bytes() const override { return bytes_; }

  void read(std::size_t begin, std::size_t count, float* out) const override {
    const std::size_t size = type_.elements;
    float block[kMaxBlockElements];
    for (const std::size_t end = begin + count; begin < end;) {
      const std::size_t index = begin / size, skip = begin % size, part = std::min(size - skip, end - begin);
      const std::uint8_t* from = data_ + index * type_.bytes;
      if (part == size) {
        type_.read(from, out);
      } else {
        type_.read(from, block);
        std::copy_n(block + skip, part, out);
      }
      begin += part;
      out += part;
    }
  }

 private:
  const BlockType& type_;
  const std::uint8_t* data_;
  std::size_t bytes_;
};

}  // namespace

TensorView view_of(const std::string& name, const std::vector<std::size_t>& shape, const BlockType& type,
                   const std::byte* data) {
  TensorView view{name, DType::f32, shape};
  if (const auto plain = plain_type(type)) {
    view.dtype = *plain;
    view.data = data;
  } else {
    view.form = std::make_shared<BlockForm>(type, data, view.elements());
  }
  return view;
}

}  // namespace mmbatch::gguf
