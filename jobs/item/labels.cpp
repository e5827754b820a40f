#include "jobs/item/labels.h"

#include <fmt/format.h>

#include <set>

#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::string_view kPlace = "{}";

}  // namespace

std::string LabelSet::text_of(const std::string& label) const {
  std::string text = label_template;
  return text.replace(text.find(kPlace), kPlace.size(), label);
}

std::string labels_fault(const std::vector<std::string>& labels) {
  if (labels.empty()) return "'labels' must be a list of texts that is not empty";
  std::set<std::string_view> seen;
  for (const std::string& label : labels) {
    if (stripped(label).empty()) return "'labels' has an empty label";
    if (label.find('\0') != std::string::npos) return "'labels' has a NUL character";
    if (!seen.insert(label).second) return fmt::format("label '{}' is given twice", label.substr(0, 80));
  }
  return {};
}

std::string label_template_fault(std::string_view label_template) {
  const std::size_t place = label_template.find(kPlace);
  if (place == std::string_view::npos) {
    return "'template' must have {} where the label goes, as in \"a photo of a {}\"";
  }
  if (label_template.find(kPlace, place + 1) != std::string_view::npos)
    return "'template' must have {} only once";
  return {};
}

std::string label_size_fault(const LabelSet& set) {
  constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
  std::size_t bytes = set.labels.size() * set.label_template.size();
  for (const std::string& label : set.labels) bytes += label.size();
  if (bytes <= kMaxBytes) return {};
  return fmt::format("the labels in their template would have {} MiB, at most {} are allowed", bytes >> 20,
                     kMaxBytes >> 20);
}

}  // namespace mmbatch
