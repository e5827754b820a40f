#include "jobs/listing/vqa_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"
#include "jobs/item/fields.h"

namespace mmbatch {
namespace {

constexpr std::string_view kPlaceholder = "{image_id";
constexpr std::size_t kWidest = 40;

/// Where the placeholder is, and how wide the number is to be.
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

/// A number, or a text that is one, as it is written.
std::string id_of(const Node& object, const char* key) {
  const Node::Entry* const found = object.find(key);
  const bool has_id = found != nullptr &&
                      (found->value->kind == Node::Kind::text || found->value->kind == Node::Kind::number);
  return has_id ? found->value->text : "";
}

std::string text_in(const Node& object, const char* key) {
  const Node::Entry* const found = object.find(key);
  return found != nullptr && found->value->is_scalar() ? found->value->text : "";
}

VqaAnnotation annotation_of(const Node& object) {
  VqaAnnotation annotation;
  annotation.question_type = text_in(object, "question_type");
  annotation.answer_type = text_in(object, "answer_type");
  const Node::Entry* const answers = object.find("answers");
  if (answers == nullptr) return annotation;
  for (const NodePointer& answer : answers->value->list) {
    if (answer->is_scalar()) annotation.answers.push_back(answer->text);
    if (answer->find("answer") != nullptr) annotation.answers.push_back(text_in(*answer, "answer"));
  }
  return annotation;
}

/// The objects of a member; what is something else is left out.
class Objects {
 public:
  Objects(const std::filesystem::path& file, const char* key) : records_(open_json_member(file, key)) {}

  NodePointer next() {
    while (records_->next(record_)) {
      if (record_.fault) continue;
      try {
        NodePointer object = records_->node();
        if (object->kind == Node::Kind::map) return object;
      } catch (const PlacedError&) {
        continue;
      }
    }
    return nullptr;
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

  bool next(Record& record) override { return questions_->next(record); }

  NodePointer node() override {
    const NodePointer question = questions_->node();
    const std::string id = id_of(*question, "question_id");
    const std::string image = id_of(*question, "image_id");
    if (id.empty() || image.empty()) {
      throw PlacedError(ErrorCode::invalid_item, question->place,
                        "expected a question with question_id and image_id");
    }
    auto item = std::make_shared<Node>();
    item->kind = Node::Kind::map;
    item->place = question->place;
    const auto add = [&](const char* key, NodePointer value) {
      item->map.push_back({key, question->place, std::move(value)});
    };
    add("id", text_node(id));
    add("image", text_node(image_name(pattern_, image)));
    if (const Node::Entry* entry = question->find("question")) item->map.push_back(*entry);
    if (const auto annotation = annotation_for(id)) {
      auto answers = std::make_shared<Node>();
      answers->kind = Node::Kind::list;
      for (const std::string& answer : annotation->answers) answers->list.push_back(text_node(answer));
      add("answers", std::move(answers));
      if (!annotation->question_type.empty()) add("question_type", text_node(annotation->question_type));
      if (!annotation->answer_type.empty()) add("answer_type", text_node(annotation->answer_type));
    }
    return item;
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
      const NodePointer object = annotations_->next();
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
  while (const NodePointer object = objects.next())
    by_id_.emplace(id_of(*object, "question_id"), annotation_of(*object));
  if (questions.empty()) return;
  Objects asked(questions, "questions");
  while (const NodePointer object = asked.next()) {
    id_of_question_.emplace(question_key(id_of(*object, "image_id"), text_in(*object, "question")),
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
