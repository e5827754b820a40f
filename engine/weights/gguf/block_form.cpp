#include "engine/weights/gguf/block_form.h"

#include <algorithm>
#include <optional>

#include "engine/base/mapped_file.h"
#include "engine/weights/files/stored_place.h"
#include "engine/weights/gguf/blocks/codes.h"

namespace mmbatch::gguf {
namespace {

std::optional<DType> plain_type(const BlockType& type) {
  if (type.name == "F32") return DType::f32;
  if (type.name == "F16") return DType::f16;
  if (type.name == "BF16") return DType::bf16;
  return {};
}

class BlockForm final : public StoredForm, public StoredPlace {
 public:
  BlockForm(const BlockType& type, const std::byte* data, std::size_t elements)
      : type_(type),
        data_(reinterpret_cast<const std::uint8_t*>(data)),
        bytes_(elements / type.elements * type.bytes),
        codes_(find_block_codes(type.name)) {}

  std::span<const std::byte> all() const { return {reinterpret_cast<const std::byte*>(data_), bytes_}; }
  std::size_t elements() const { return bytes_ / type_.bytes * type_.elements; }

  std::string_view name() const override { return type_.name; }
  std::size_t bytes() const override { return bytes_; }
  const std::byte* place() const override { return reinterpret_cast<const std::byte*>(data_); }

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

  const Grouping* grouping() const override { return codes_.grouping; }

  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    const std::size_t size = type_.elements;
    for (std::size_t i = 0; i < count; i += size)
      codes_.copy(data_ + (begin + i) / size * type_.bytes, out.behind(*codes_.grouping, i));
  }

  void release(std::size_t begin, std::size_t count) const override {
    const auto* from = reinterpret_cast<const std::byte*>(data_) + begin / type_.elements * type_.bytes;
    release_mapped({from, count / type_.elements * type_.bytes});
  }

 private:
  const BlockType& type_;
  const std::uint8_t* data_;
  std::size_t bytes_;
  BlockCodes codes_;
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

std::span<const std::byte> blocks_of(const TensorView& tensor) {
  const auto* form = dynamic_cast<const BlockForm*>(tensor.form.get());
  const bool all = form != nullptr && tensor.first == 0 && tensor.elements() == form->elements();
  return all ? form->all() : std::span<const std::byte>();
}

std::optional<TensorView> blocks_from(const std::string& name, const std::vector<std::size_t>& shape,
                                      std::string_view type, std::span<const std::byte> bytes) {
  const auto types = block_types();
  const auto found =
      std::find_if(types.begin(), types.end(), [&](const BlockType& one) { return one.name == type; });
  if (found == types.end() || found->read == nullptr || plain_type(*found) || shape.size() != 2) return {};
  if (shape[1] % found->elements != 0 || shape[1] == 0) return {};
  const std::size_t row = shape[1] / found->elements * found->bytes;
  if (bytes.size() % row != 0 || bytes.size() / row != shape[0]) return {};
  return view_of(name, shape, *found, bytes.data());
}

}  // namespace mmbatch::gguf
