#include "fusion/source/hollow_source.h"

#include <set>
#include <utility>

namespace mmbatch {

HollowSource::HollowSource(std::shared_ptr<const WeightSource> whole)
    : WeightSource(whole->path()), whole_(std::move(whole)) {
  // Small ones keep their values, which layers look at while they are made.
  constexpr std::size_t kSmall = std::size_t{1} << 16;
  for (const auto& [name, stored] : whole_->tensors()) {
    TensorView view = stored;
    if (view.elements() > kSmall) {
      view.data = nullptr;
      if (view.form) view = {.name = stored.name, .shape = stored.shape};
    }
    add(view, path());
  }
  for (const auto& [name, type] : whole_->other_tensors()) add_other(name, type);
  const std::vector<std::string> names = whole_->unread();
  const std::set<std::string> unread(names.begin(), names.end());
  for (const auto& [name, stored] : tensors()) {
    if (unread.count(name) == 0) tensor(name);
  }
}

}  // namespace mmbatch
