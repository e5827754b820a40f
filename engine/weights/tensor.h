#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/groups/grouping.h"
#include "engine/weights/precision.h"

namespace mmbatch {

/// Element types of stored weights that the engine computes with.
enum class DType { f32, f16, bf16 };

std::size_t element_bytes(DType type);
std::string_view to_string(DType type);

/// The stored form of a tensor that is not numbers of one type: blocks or groups of small numbers with
/// scales. It stays as it lies in the mapped file; rows become float32 when they are read. Const and
/// thread-safe.
class StoredForm {
 public:
  virtual ~StoredForm() = default;

  /// As people name it, such as "Q4_K".
  virtual std::string_view name() const = 0;
  /// That it takes in the file, scales included.
  virtual std::size_t bytes() const = 0;
  /// Elements [begin, begin + count) of the row-major tensor. Every element has the same bits, whatever the
  /// range that it is read with.
  virtual void read(std::size_t begin, std::size_t count, float* out) const = 0;

  /// The small numbers that it is made of; null where products need what read() makes of them.
  virtual const Grouping* grouping() const { return nullptr; }
  /// In which order the small numbers of a row stand for its inputs: number i is of input order()[i]. Empty:
  /// in theirs.
  virtual std::span<const std::uint32_t> order() const { return {}; }
  /// The same range as these, both ends multiples of the grouping's span(); of rows in their order().
  virtual void read_groups(std::size_t /*begin*/, std::size_t /*count*/, const GroupedValues& /*out*/) const {
  }
  /// Says that the elements are read no more for now: memory that only holds the file's bytes may go.
  virtual void release(std::size_t /*begin*/, std::size_t /*count*/) const {}
};

/// A stored tensor: const, not owned, row-major. The name serves error messages.
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  const std::byte* data = nullptr;
  /// Not elements of dtype but the packed form of this precision, packed_bytes long; shape is what was
  /// packed.
  std::optional<Precision> packed = {};
  std::size_t packed_bytes = 0;
  /// Of a packed tensor: the small numbers that it holds; null where the precision says it all.
  const Grouping* grouping = nullptr;
  /// Of a packed tensor: the order of its inputs (StoredForm::order) is stored behind it.
  bool ordered = false;
  /// Neither of these, but this form, from its element `first` on; data is null and dtype means nothing.
  std::shared_ptr<const StoredForm> form = {};
  std::size_t first = 0;

  std::size_t rows() const { return shape.empty() ? 1 : shape[0]; }
  /// Product of all dimensions but the first.
  std::size_t cols() const;
  std::size_t elements() const { return rows() * cols(); }
  /// In the file; of a form, all of it.
  std::size_t bytes() const {
    return form ? form->bytes() : packed ? packed_bytes : elements() * element_bytes(dtype);
  }
  /// Rows [begin, begin + count) of a tensor seen as [rows, cols].
  TensorView row_range(std::size_t begin, std::size_t count) const;
};

/// Numbers in the place of a tensor's own, such as the same in another order.
/// @param values kept by the caller, as many as `shape` says
TensorView with_values(const TensorView& tensor, std::vector<std::size_t> shape,
                       std::span<const float> values);

/// What the elements are stored as, for people: "bf16", "Q4_K".
std::string stored_type(const TensorView& tensor);

/// Whether it is stored in blocks or groups, and not as numbers of one type, changed or not.
bool is_quantized(const TensorView& tensor);

/// "[2, 3]", for error messages.
std::string shape_text(const std::vector<std::size_t>& shape);

/// The float32 that 16 bits stand for, exactly.
float half_to_float(std::uint16_t half);
float bfloat_to_float(std::uint16_t half);

/// Writes `count` elements from element `begin` on as float32. f16 and bf16 convert exactly.
/// @throws ModelError for a packed tensor
void copy_as_float(const TensorView& tensor, std::size_t begin, std::size_t count, float* out);
/// All elements as float32.  @throws ModelError for a packed tensor, and where one is not finite
std::vector<float> to_floats(const TensorView& tensor);

/// @param values of `tensor`, as float32
/// @throws ModelError naming the tensor when one of them is NaN or infinite
void check_finite(const TensorView& tensor, std::span<const float> values);
/// The same for all that is stored, which is read once; a packed tensor is taken as it is.
void check_finite(const TensorView& tensor);

}  // namespace mmbatch
