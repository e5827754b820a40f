#include "engine/weights/quantized/stored_parts.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace mmbatch::quantized {

void fail(const std::string& name, const std::string& problem) {
  throw ModelError(fmt::format("tensor '{}': {}", name, problem));
}

std::vector<std::string> StoredParts::modules(const std::string& ending) const {
  std::vector<std::string> modules;
  for (const auto& [name, tensor] : others) {
    if (name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0)
      modules.push_back(name.substr(0, name.size() - ending.size()));
  }
  return modules;
}

const RawTensor* StoredParts::other(const std::string& name) const {
  const auto found = others.find(name);
  return found == others.end() ? nullptr : &found->second;
}

const RawTensor& StoredParts::other(const std::string& name, const std::string& type,
                                    const std::vector<std::size_t>& shape) const {
  const RawTensor* found = other(name);
  if (found == nullptr) fail(name, "is missing beside the other parts of a quantized weight");
  if (found->type != type || found->shape != shape) {
    fail(name, fmt::format("expected {} of shape {}, found {} of shape {}", type, shape_text(shape),
                           found->type, shape_text(found->shape)));
  }
  return *found;
}

const TensorView& StoredParts::tensor(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail(name, "is missing beside the other parts of a quantized weight");
  return found->second;
}

TensorView StoredParts::tensor(const std::string& name, const std::vector<std::size_t>& shape) const {
  const TensorView& found = tensor(name);
  if (found.shape != shape)
    fail(name, fmt::format("expected shape {}, found {}", shape_text(shape), shape_text(found.shape)));
  return found;
}

std::vector<float> StoredParts::floats(const std::string& name, const std::vector<std::size_t>& shape) const {
  return to_floats(tensor(name, shape));
}

void StoredParts::replace(const std::string& name, std::vector<std::size_t> shape,
                          std::shared_ptr<const StoredForm> form, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    tensors.erase(part);
    others.erase(part);
  }
  TensorView view{name, DType::f32, std::move(shape)};
  view.form = std::move(form);
  if (others.count(name) > 0 || !tensors.emplace(name, view).second)
    fail(name, "is stored plain beside the parts of a quantized weight");
}

}  // namespace mmbatch::quantized
