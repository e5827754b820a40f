#include "jobs/listing/vqa_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kPlaceholder = "{image_id";
constexpr std::size_t kWidest = 40;

/// Where the placeholder stands, and how wide the number is to be.
struct Placeholder {
  std::size_t begin = 0, end = 0, width = 0;
};

std::optional<Placeholder> find_placeholder(const std::string& pattern) {
  Placeholder found;
  found.begin = pattern.find(kPlaceholder);
  if (found.begin == std::string::npos) return std::nullopt;
  std::size_t at = found.begin + kPlaceholder.size();
  if (pattern.compare(at, 2, ":0") == 0) {
    for (at += 2; at < pattern.size() && pattern[at] >= '0' && pattern[at] <= '9'; ++at) {
      found.width = std::min(kWidest + 1, found.width * 10 + static_cast<std::size_t>(pattern[at] - '0'));
    }
  }
  if (at >= pattern.size() || pattern[at] != '}' || found.width > kWidest) return std::nullopt;
  found.end = at + 1;
  return found;
}

/// A number, or a text that stands for one.
std::string id_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->is_number_integer() ? found->dump() : "";
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

VqaAnnotation annotation_of(const Json& object) {
  VqaAnnotation annotation;
  annotation.question_type = text_of(object, "question_type");
  annotation.answer_type = text_of(object, "answer_type");
  const auto answers = object.find("answers");
  if (answers == object.end() || !answers->is_array()) return annotation;
  for (const Json& answer : *answers) {
    if (answer.is_string()) annotation.answers.push_back(answer.get<std::string>());
    if (answer.is_object() && answer.contains("answer"))
      annotation.answers.push_back(text_of(answer, "answer"));
  }
  return annotation;
}

/// The objects of a member, those that are none left out.
class Objects {
 public:
  Objects(const std::filesystem::path& file, const char* key) : records_(open_json_member(file, key)) {}

  std::optional<Json> next() {
    while (records_->next(record_)) {
      if (record_.fault || check_json(record_.json)) continue;
      Json object = Json::parse(record_.json);
      if (object.is_object()) return object;
    }
    return std::nullopt;
  }

 private:
  std::unique_ptr<RecordReader> records_;
  Record record_;
};

class VqaReader : public RecordReader {
 public:
  explicit VqaReader(const VqaFiles& files)
      : pattern_(files.images), questions_(open_json_member(files.questions, "questions")) {
    if (!files.annotations.empty()) annotations_.emplace(files.annotations, "annotations");
  }

  bool next(Record& record) override {
    if (!questions_->next(record)) return false;
    if (record.fault || check_json(record.json)) return true;  // the item's parser says what is wrong
    const Json question = Json::parse(record.json);
    record.column = 0;
    const std::string id = question.is_object() ? id_of(question, "question_id") : "";
    const std::string image = question.is_object() ? id_of(question, "image_id") : "";
    if (id.empty() || image.empty()) {
      record.fault =
          Record::Fault{ErrorCode::invalid_item, "expected a question with question_id and image_id"};
      return true;
    }
    Json item = {{"id", id}, {"image", image_name(pattern_, image)}};
    if (question.contains("question")) item["question"] = question["question"];
    if (const auto annotation = annotation_for(id)) {
      item["answers"] = annotation->answers;
      if (!annotation->question_type.empty()) item["question_type"] = annotation->question_type;
      if (!annotation->answer_type.empty()) item["answer_type"] = annotation->answer_type;
    }
    record.json = item.dump();
    return true;
  }

 private:
  /// Reads on until it is found; what belongs to other questions is kept for them.
  std::optional<VqaAnnotation> annotation_for(const std::string& id) {
    if (const auto kept = waiting_.find(id); kept != waiting_.end()) {
      VqaAnnotation found = std::move(kept->second);
      waiting_.erase(kept);
      return found;
    }
    while (annotations_) {
      const auto object = annotations_->next();
      if (!object) {
        annotations_.reset();
        break;
      }
      const std::string own = id_of(*object, "question_id");
      if (own == id) return annotation_of(*object);
      waiting_.emplace(own, annotation_of(*object));
    }
    return std::nullopt;
  }

  std::string pattern_;
  std::unique_ptr<RecordReader> questions_;
  std::optional<Objects> annotations_;
  std::unordered_map<std::string, VqaAnnotation> waiting_;
};

/// The number at the end of an image's name, without zeros before it.
std::string number_of_image(const std::string& image) {
  const std::string stem = std::filesystem::path(image).stem().string();
  std::size_t begin = stem.size();
  while (begin > 0 && stem[begin - 1] >= '0' && stem[begin - 1] <= '9') --begin;
  const std::size_t first = std::min(stem.find_first_not_of('0', begin), stem.size());
  return stem.substr(first);
}

std::string question_key(const std::string& image_number, const std::string& question) {
  return image_number + "\n" + question;
}

}  // namespace

std::string image_pattern_fault(const std::string& pattern) {
  if (find_placeholder(pattern)) return {};
  return "the name of an image needs {image_id}, or {image_id:012} for a number of twelve digits";
}

std::string image_name(const std::string& pattern, const std::string& image_id) {
  const auto place = find_placeholder(pattern);
  if (!place) return pattern;
  const std::string zeros(place->width > image_id.size() ? place->width - image_id.size() : 0, '0');
  return pattern.substr(0, place->begin) + zeros + image_id + pattern.substr(place->end);
}

std::unique_ptr<RecordReader> open_vqa(const VqaFiles& files) {
  return std::make_unique<VqaReader>(files);
}

VqaAnnotations::VqaAnnotations(const std::filesystem::path& annotations,
                               const std::filesystem::path& questions) {
  Objects objects(annotations, "annotations");
  while (const auto object = objects.next())
    by_id_.emplace(id_of(*object, "question_id"), annotation_of(*object));
  if (questions.empty()) return;
  Objects asked(questions, "questions");
  while (const auto object = asked.next()) {
    id_of_question_.emplace(question_key(id_of(*object, "image_id"), text_of(*object, "question")),
                            id_of(*object, "question_id"));
  }
}

const VqaAnnotation* VqaAnnotations::find(const std::string& id, const std::string& image,
                                          const std::string& question) const {
  auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    const auto asked = id_of_question_.find(question_key(number_of_image(image), question));
    if (asked != id_of_question_.end()) found = by_id_.find(asked->second);
  }
  return found == by_id_.end() ? nullptr : &found->second;
}

}  // namespace mmbatch
