#pragma once

#include <cstddef>
#include <string>

#include "engine/weights/tensor.h"

namespace mmbatch {

/// What forms are too whose bytes lie in one place.
class StoredPlace {
 public:
  virtual ~StoredPlace() = default;
  /// A byte of those that it is read from; null where it is read from none.
  virtual const std::byte* place() const = 0;
};

/// A byte that the tensor is read from; null where that is not known, as for numbers that were computed.
const std::byte* place_of(const TensorView& tensor);

/// The path of the file that the tensor lies in; empty where that is not known.
std::string file_of(const TensorView& tensor);

}  // namespace mmbatch
