#include "engine/weights/files/stored_place.h"

#include "engine/base/files/mapped_path.h"

namespace mmbatch {

const std::byte* place_of(const TensorView& tensor) {
  if (!tensor.form) return tensor.data;
  const auto* stored = dynamic_cast<const StoredPlace*>(tensor.form.get());
  return stored != nullptr ? stored->place() : nullptr;
}

std::string file_of(const TensorView& tensor) {
  const std::byte* place = place_of(tensor);
  return place != nullptr ? mapped_path(place).string() : std::string();
}

}  // namespace mmbatch
