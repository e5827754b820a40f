#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "jobs/listing/records.h"

namespace mmbatch {

/// The JSON files of VQAv2 (visualqa.org/vqa_v1_format.html), which other data sets use too:
///
///   questions   = { …, "questions": [{ "question_id": number, "image_id": number, "question": text }…] }
///   annotations = { …, "annotations": [{ "question_id": number, "answers": [{"answer": text, …}…],
///                   "question_type"?: text, "answer_type"?: text, … }…] }
struct VqaFiles {
  std::filesystem::path questions;
  std::filesystem::path annotations;  // empty: questions without references
  std::string images;                 // name of an image: {image_id}, or {image_id:012} filled with zeros
};

/// What is wrong with a pattern of image names; empty: nothing.
std::string image_pattern_fault(const std::string& pattern);
/// The name of an image.
std::string image_name(const std::string& pattern, const std::string& image_id);

/// The questions as items (item_builder.h) with the question's number as their id. Constant memory as long as
/// questions and annotations come in the same order.  @throws UsageError
std::unique_ptr<RecordReader> open_vqa(const VqaFiles& files);

/// What an annotation says of a question.
struct VqaAnnotation {
  std::vector<std::string> answers;
  std::string question_type;
  std::string answer_type;
};

/// Annotations for items that were stored without them.
class VqaAnnotations {
 public:
  /// @param questions may be empty; with it, items are also found by the end of their image's name and their
  /// question, whatever their ids.  @throws UsageError
  VqaAnnotations(const std::filesystem::path& annotations, const std::filesystem::path& questions);
  /// @param image name of the item's first image  @return null when there is none
  const VqaAnnotation* find(const std::string& id, const std::string& image,
                            const std::string& question) const;

 private:
  std::unordered_map<std::string, VqaAnnotation> by_id_;
  std::unordered_map<std::string, std::string> id_of_question_;
};

}  // namespace mmbatch
