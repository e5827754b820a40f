#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mmbatch {

/// What a classify item chooses from, and how each label reads as a text for the model.
struct LabelSet {
  std::vector<std::string> labels;    // not empty; different from each other
  std::string label_template = "{}";  // `{}` is where the label goes

  /// The label in its template.
  std::string text_of(const std::string& label) const;
};

/// What is wrong with a list of labels, or with a template; empty: nothing.
std::string labels_fault(const std::vector<std::string>& labels);
std::string label_template_fault(std::string_view label_template);
/// Of all labels in their template: a long template multiplies.
std::string label_size_fault(const LabelSet& set);

}  // namespace mmbatch
