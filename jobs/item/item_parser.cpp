#include "jobs/item/item_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "jobs/item/prompt_template.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

/// A fault with the key it is about, so that the place of the key can be named.
struct KeyError : ItemError {
  KeyError(ErrorCode code, std::string key_, const std::string& message)
      : ItemError(code, message), key(std::move(key_)) {}
  std::string key;
};

[[noreturn]] void ill_typed(const std::string& key, const char* expected) {
  throw KeyError(ErrorCode::invalid_value, key, fmt::format("key '{}' must be {}", key, expected));
}

class ItemParser {
 public:
  ItemParser(const Json& json, const ItemContext& context, Item& item)
      : json_(json), context_(context), item_(item) {}

  void parse() {
    read_id();
    check_keys(json_, item_keys(), "an item");
    if (const Json* found = get("generation")) {
      if (!found->is_object()) ill_typed("generation", "a map of settings");
      item_.generation = parse_generation(found->dump());
    }
    read_references();
    if (get("question_type")) item_.question_type = scalar_text("question_type", *get("question_type"));
    if (get("answer_type")) item_.answer_type = scalar_text("answer_type", *get("answer_type"));
    if (const Json* found = get("metadata")) item_.metadata = found->dump();
    read_images();
    check_task_keys();
    if (item_.task == Task::classify)
      read_labels();
    else if (item_.task == Task::embed)
      read_embedded();
    else if (get("messages"))
      read_messages();
    else
      read_prompt();
    check_images();
  }

 private:
  const Json* get(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  static void check_keys(const Json& object, const std::vector<std::string>& known, const char* owner) {
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string nearest = nearest_name(key, known);
      const std::string hint = nearest.empty() ? fmt::format("known keys are {}", fmt::join(known, ", "))
                                               : fmt::format("did you mean '{}'?", nearest);
      throw KeyError(ErrorCode::unknown_key, key,
                     fmt::format("unknown key '{}' in {}, {}", key.substr(0, 80), owner, hint));
    }
  }

  static std::string text(const std::string& key, const Json& value) {
    if (!value.is_string()) ill_typed(key, "a text");
    const auto& content = value.get_ref<const std::string&>();
    if (content.find('\0') != std::string::npos) ill_typed(key, "a text without NUL characters");
    return content;
  }

  /// A text, number or truth value, as people write answers.
  static std::string scalar_text(const std::string& key, const Json& value) {
    if (value.is_number() || value.is_boolean()) return value.dump();
    if (!value.is_string()) ill_typed(key, "a text or a number");
    return text(key, value);
  }

  void read_id() {
    const Json* found = get("id");
    if (found == nullptr) return;
    if (!found->is_string() && !found->is_number_integer()) ill_typed("id", "a text or an integer");
    const std::string id = scalar_text("id", *found);
    if (stripped(id).empty()) ill_typed("id", "a text that is not empty");
    item_.id = id;
    item_.id_from = Item::IdFrom::listing;
  }

  void read_references() {
    if (get("answer") && get("answers")) {
      throw KeyError(ErrorCode::invalid_item, "answers",
                     "both 'answer' and 'answers' are given: one is allowed");
    }
    if (const Json* found = get("answer")) item_.references = {scalar_text("answer", *found)};
    const Json* list = get("answers");
    if (list == nullptr) return;
    if (!list->is_array()) ill_typed("answers", "a list of texts");
    for (const Json& element : *list) {
      const bool annotated = element.is_object() && element.contains("answer");  // as VQAv2 lists them
      item_.references.push_back(scalar_text("answers", annotated ? element["answer"] : element));
    }
  }

  void add_image(const std::string& key, const Json& value) {
    const std::string written = text(key, value);
    if (stripped(written).empty()) ill_typed(key, "a path that is not empty");
    item_.images.push_back(resolve_image(written, context_));
  }

  void read_images() {
    if (get("image") && get("images")) {
      throw KeyError(ErrorCode::invalid_item, "images",
                     "both 'image' and 'images' are given: one is allowed");
    }
    if (const Json* found = get("image")) add_image("image", *found);
    const Json* list = get("images");
    if (list == nullptr) return;
    if (!list->is_array()) ill_typed("images", "a list of paths");
    for (const Json& element : *list) add_image("images", element);
  }

  /// Keys that say nothing to the item's task.
  void check_task_keys() {
    std::vector<const char*> foreign = {"labels", "template"};
    if (item_.task == Task::classify) foreign = {"question", "prompt", "messages", "generation"};
    if (item_.task == Task::embed) foreign = {"messages", "labels", "template", "generation"};
    for (const char* key : foreign) {
      if (!get(key)) continue;
      throw KeyError(ErrorCode::invalid_item, key,
                     fmt::format("key '{}' has no meaning in the task {}", key, to_string(item_.task)));
    }
  }

  void read_labels() {
    const Job& job = *context_.job;
    item_.labels = job.labels;
    if (const Json* found = get("labels")) {
      if (!found->is_array()) ill_typed("labels", "a list of texts");
      auto own = std::make_shared<LabelSet>();
      own->label_template = job.label_template;
      for (const Json& element : *found) own->labels.push_back(scalar_text("labels", element));
      if (const std::string fault = labels_fault(own->labels); !fault.empty()) {
        throw KeyError(ErrorCode::invalid_value, "labels", fault);
      }
      item_.labels = std::move(own);
    }
    if (!item_.labels) {
      throw ItemError(ErrorCode::invalid_item, "the item has no 'labels', and its job has none either");
    }
    if (const Json* found = get("template")) {
      auto own = std::make_shared<LabelSet>(*item_.labels);
      own->label_template = text("template", *found);
      if (const std::string fault = label_template_fault(own->label_template); !fault.empty()) {
        throw KeyError(ErrorCode::invalid_value, "template", fault);
      }
      item_.labels = std::move(own);
    }
  }

  /// An image or a text.
  void read_embedded() {
    if (item_.images.empty()) {
      if (!get("question") && !get("prompt")) {
        throw ItemError(ErrorCode::invalid_item,
                        "the item has neither an 'image' nor a text ('prompt') to embed");
      }
      return read_prompt();
    }
    for (const char* key : {"question", "prompt"}) {
      if (!get(key)) continue;
      throw KeyError(ErrorCode::invalid_item, key,
                     "both an image and a text are given: the task embed takes one");
    }
  }

  void read_prompt() {
    const Job& job = *context_.job;
    if (get("question") && get("prompt")) {
      throw KeyError(ErrorCode::invalid_item, "prompt",
                     "both 'question' and 'prompt' are given: one is allowed");
    }
    const char* key = get("question") ? "question" : "prompt";
    const Json* found = get(key);
    std::string question = found ? text(key, *found) : job.question;
    const bool from_template = found == nullptr && question.empty() && !job.prompt_template.empty() &&
                               !has_placeholder(job.prompt_template);
    if (stripped(question).empty() && !from_template) {
      if (found != nullptr) throw KeyError(ErrorCode::prompt_empty, key, fmt::format("'{}' is empty", key));
      throw ItemError(ErrorCode::prompt_empty,
                      item_.task == Task::vqa ? "the item has no 'question'" : "the item has no 'prompt'");
    }
    item_.prompt =
        job.prompt_template.empty() ? std::move(question) : fill_template(job.prompt_template, question);
  }

  void read_messages() {
    for (const char* other : {"question", "prompt"}) {
      if (!get(other)) continue;
      throw KeyError(ErrorCode::invalid_item, "messages",
                     fmt::format("both '{}' and 'messages' are given: one is allowed", other));
    }
    const Json& list = *get("messages");
    if (!list.is_array() || list.empty()) ill_typed("messages", "a list of {role, content}");
    const std::size_t listed_images = item_.images.size();
    for (const Json& element : list) read_message(element);
    const auto is_user = [](const Item::Message& message) { return message.role == "user"; };
    if (item_.messages.back().role != "user") {
      throw KeyError(ErrorCode::invalid_item, "messages", "the last of 'messages' must have the role user");
    }
    // Images of the item's own keys come before those that stand inside the messages.
    std::find_if(item_.messages.begin(), item_.messages.end(), is_user)->images += listed_images;
    if (listed_images > 0 && item_.images.size() > listed_images) {
      throw KeyError(ErrorCode::invalid_item, "messages", "images are given both in and beside 'messages'");
    }
    item_.form = PromptForm::turns;
    item_.prompt = messages_text();
  }

  void read_message(const Json& element) {
    if (!element.is_object()) ill_typed("messages", "a list of {role, content}");
    check_keys(element, {"role", "content"}, "a message");
    if (!element.contains("role") || !element.contains("content")) {
      throw KeyError(ErrorCode::invalid_item, "messages", "a message needs 'role' and 'content'");
    }
    Item::Message message;
    message.role = text("role", element["role"]);
    if (message.role != "user" && message.role != "assistant" && message.role != "system") {
      throw KeyError(ErrorCode::invalid_value, "messages",
                     fmt::format("role '{}' is none of user, assistant, system", message.role.substr(0, 80)));
    }
    if (message.role == "system" && !item_.messages.empty()) {
      throw KeyError(ErrorCode::invalid_item, "messages",
                     "the role system is allowed in the first message only");
    }
    const Json& content = element["content"];
    if (content.is_array()) {
      for (const Json& part : content) read_part(part, message);
    } else {
      message.content = text("content", content);
    }
    if (stripped(message.content).empty() && message.images == 0) {
      throw KeyError(ErrorCode::prompt_empty, "messages", fmt::format("a {} message is empty", message.role));
    }
    item_.messages.push_back(std::move(message));
  }

  void read_part(const Json& part, Item::Message& message) {
    const std::string type = part.is_object() && part.contains("type") ? text("type", part["type"]) : "";
    if (type == "text" && part.contains("text")) {
      check_keys(part, {"type", "text"}, "a text part");
      if (!message.content.empty()) message.content += "\n";
      message.content += text("text", part["text"]);
    } else if (type == "image_url" && part.contains("image_url")) {
      const Json& place = part["image_url"];
      if (message.role != "user") {
        throw KeyError(ErrorCode::invalid_item, "messages", "an image is allowed in user messages only");
      }
      add_image("image_url", place.is_object() && place.contains("url") ? place["url"] : place);
      ++message.images;
    } else {
      throw KeyError(ErrorCode::invalid_item, "messages",
                     "'content' must be a text, or a list of parts of type text or image_url");
    }
  }

  /// How turns read in the database: a single question as it stands, else a line a message.
  std::string messages_text() const {
    if (item_.messages.size() == 1) return item_.messages[0].content;
    std::string out;
    for (const Item::Message& message : item_.messages) {
      out += fmt::format("{}{}: {}", out.empty() ? "" : "\n", message.role, message.content);
    }
    return out;
  }

  void check_images() {
    if (context_.task_from == ItemContext::TaskFrom::images) {
      item_.task = item_.images.empty() ? Task::generate : Task::vqa;
      return;
    }
    const std::size_t most = needs_decoder(item_.task) ? SIZE_MAX : 1;
    if (item_.images.size() > most || (item_.task == Task::classify && item_.images.empty())) {
      throw ItemError(ErrorCode::invalid_item, fmt::format("the item has {} images, the task {} takes one",
                                                           item_.images.size(), to_string(item_.task)));
    }
    if (item_.task == Task::vqa && item_.images.empty()) {
      throw ItemError(ErrorCode::invalid_item, "the item has no 'image', which the task vqa needs");
    }
    if (item_.task == Task::generate && !item_.images.empty()) {
      throw ItemError(ErrorCode::invalid_item, "the task generate takes no images: use the task vqa");
    }
  }

  const Json& json_;
  const ItemContext& context_;
  Item& item_;
};

std::shared_ptr<Item> empty_item(const ItemContext& context) {
  auto item = std::make_shared<Item>();
  item->job = context.job_index;
  item->position = context.position;
  item->id = context.default_id;
  item->id_from = context.default_id_from;
  item->task = context.job->task;
  item->form = context.job->form;
  item->where = context.where;
  return item;
}

Error read_error(ErrorCode code, const std::string& where, const std::string& problem) {
  return Error{code, fmt::format("{}: {}", where, problem)};
}

}  // namespace

const std::vector<std::string>& item_keys() {
  static const std::vector<std::string> keys = {
      "id",      "image",         "images",      "question", "prompt",     "messages", "answer",
      "answers", "question_type", "answer_type", "metadata", "generation", "labels",   "template"};
  return keys;
}

ReadItem failed_item(const ItemContext& context, ErrorCode code, const std::string& problem) {
  return {empty_item(context), read_error(code, context.where, problem)};
}

ReadItem parse_item(std::string_view text, const ItemContext& context) {
  if (const auto fault = check_json(text)) {
    ReadItem failed = failed_item(context, ErrorCode::invalid_item, fault->problem);
    if (context.where_offset) {
      failed.error->message = fmt::format("{}: {}", context.where_offset(fault->offset), fault->problem);
    }
    return failed;
  }
  const std::shared_ptr<Item> item = empty_item(context);
  ReadItem read{item, std::nullopt};
  const auto place = [&](const std::string& key) {
    return context.where_key && !key.empty() ? context.where_key(key) : context.where;
  };
  try {
    const Json json = Json::parse(text);
    if (!json.is_object()) {
      return failed_item(context, ErrorCode::invalid_item, "an item must be an object {key: value, …}");
    }
    ItemParser(json, context, *item).parse();
  } catch (const KeyError& e) {
    read.error = read_error(e.code(), place(e.key), e.what());
  } catch (const ItemError& e) {
    const bool setting = std::string_view(e.what()).find("generation setting") != std::string_view::npos;
    read.error = read_error(e.code(), place(setting ? "generation" : ""), e.what());
  } catch (const Json::exception& e) {
    read.error = read_error(ErrorCode::invalid_item, context.where, e.what());
  }
  return read;
}

}  // namespace mmbatch
