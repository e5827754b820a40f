#include "jobs/item/item_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "engine/base/text/counted.h"
#include "jobs/item/constraint/constraint_keys.h"
#include "jobs/item/dialogue/message_reader.h"
#include "jobs/item/document/document.h"
#include "jobs/item/image_path.h"
#include "jobs/item/images/image_budget.h"
#include "jobs/item/prompt_template.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

class ItemBuilder {
 public:
  ItemBuilder(const Node& node, const ItemContext& context, Item& item)
      : node_(node), context_(context), job_(*context.job), item_(item), size_(context) {}

  void build() {
    read_id();
    check_keys(node_, item_keys(), "an item");
    if (const Node::Entry* entry = get("generation")) item_.generation = read_generation(*entry);
    if (const Node::Entry* entry = get("chat_template_kwargs"))
      item_.template_variables = read_template_variables(*entry);
    if (const Node::Entry* entry = get("tools")) item_.tools = read_tools(*entry);
    add_constraint(node_, std::nullopt, item_.generation);
    read_references();
    if (const Node::Entry* entry = get("question_type")) item_.question_type = scalar(*entry, *entry->value);
    if (const Node::Entry* entry = get("answer_type")) item_.answer_type = scalar(*entry, *entry->value);
    if (const Node::Entry* entry = get("metadata")) read_metadata(*entry);
    read_images();
    item_.image_budget = read_image_budget(node_);
    item_.regions = job_.regions;
    if (const Node::Entry* entry = get("regions"))
      item_.regions = flag_of(*entry) ? Regions::wanted : Regions::by_task;
    check_task_keys();
    if (item_.task == Task::classify)
      read_labels();
    else if (item_.task == Task::embed)
      read_embedded();
    else if (const Node::Entry* messages = get("messages"))
      read_turns(*messages);
    else
      read_prompt();
    check_images();
  }

 private:
  const Node::Entry* get(const char* key) const { return node_.get(key); }

  [[noreturn]] static void fail(const Node::Entry& entry, const std::string& problem,
                                ErrorCode code = ErrorCode::invalid_item) {
    throw PlacedError(code, entry.place, problem);
  }
  [[noreturn]] void fail(const std::string& problem, ErrorCode code = ErrorCode::invalid_item) const {
    throw PlacedError(code, context_.place, problem);
  }

  void exclude(const char* first, const char* second) const {
    if (!get(first) || !get(second)) return;
    fail(*get(second), fmt::format("both '{}' and '{}' are given: one is allowed", first, second));
  }

  std::string text(const Node::Entry& entry, const Node& value) {
    size_.add(value.text.size());
    return text_of(entry, value);
  }
  std::string scalar(const Node::Entry& entry, const Node& value) {
    size_.add(value.text.size());
    return scalar_of(entry, value);
  }

  void read_id() {
    const Node::Entry* const entry = get("id");
    if (entry == nullptr) return;
    if (!entry->value->is_scalar()) ill_typed(*entry, "a text or a number");
    std::string id = scalar(*entry, *entry->value);
    if (stripped(id).empty()) ill_typed(*entry, "a text that is not empty");
    item_.id = std::move(id);
    item_.id_from = Item::IdFrom::listing;
  }

  void read_references() {
    exclude("answer", "answers");
    if (const Node::Entry* entry = get("answer")) item_.references = {reference(*entry, *entry->value)};
    const Node::Entry* const list = get("answers");
    if (list == nullptr) return;
    for (const NodePointer& element : list_of(*list, "a list of texts")) {
      const Node::Entry* const annotated = element->find("answer");  // as VQAv2 lists them
      item_.references.push_back(reference(*list, annotated == nullptr ? *element : *annotated->value));
    }
  }

  /// A text, or an object whose fields an answer's are compared with.
  std::string reference(const Node::Entry& entry, const Node& value) {
    if (value.is_scalar()) return scalar(entry, value);
    if (value.kind != Node::Kind::map) ill_typed(entry, "a text, a number or an object of fields");
    if (value.map.empty()) ill_typed(entry, "an object with at least one field, which answers are held to");
    check_nested(value);
    try {
      std::string json = to_json(value, JsonForm::written, kMaxItemBytes);
      size_.add(json.size());
      return json;
    } catch (const std::length_error& e) {
      fail(entry, fmt::format("'{}': {}", entry.key, e.what()));
    }
  }

  void read_metadata(const Node::Entry& entry) {
    try {
      item_.metadata = to_json(*entry.value, JsonForm::written, kMaxItemBytes);
      item_.metadata_digest = to_json(*entry.value, JsonForm::canonical, kMaxItemBytes);
    } catch (const std::length_error& e) {
      fail(entry, fmt::format("'metadata': {}", e.what()));
    }
    if (item_.metadata_digest == item_.metadata) item_.metadata_digest.clear();
    check_nested(*entry.value);
    size_.add(item_.metadata.size());
  }

  /// YAML may repeat a key at any depth. The value was small enough to be written: it is not an alias bomb.
  static void check_nested(const Node& node) {
    check_unique(node);
    for (const NodePointer& element : node.list) check_nested(*element);
    for (const Node::Entry& entry : node.map) check_nested(*entry.value);
  }

  void add_image(const Node::Entry& entry, const Node& value) {
    const std::string& written = text_of(entry, value);
    if (stripped(written).empty()) ill_typed(entry, "a path that is not empty");
    size_.add(written.size());
    try {
      item_.images.push_back(resolve_image(written, folders()));
    } catch (const ItemError& e) {
      fail(entry, e.what(), e.code());
    }
  }

  ImageFolders folders() const { return {context_.folder, job_.image_root}; }

  /// A file of several pictures is the item's one image until its parts are known.
  void read_document() {
    item_.document_settings =
        std::make_shared<const DocumentSettings>(merged(job_.documents, read_document_settings(node_)));
    for (const char* key : {"document", "video"}) {
      const Node::Entry* const entry = get(key);
      if (entry == nullptr) continue;
      for (const char* other : {"image", "images", "document"}) {
        if (std::string_view(other) != key) exclude(other, key);
      }
      if (!context_.images.empty())
        fail(*entry, fmt::format("'{}' is given beside the archive's own images", key));
      add_image(*entry, *entry->value);
      item_.shows = std::string_view(key) == "video" ? Item::Shows::video : Item::Shows::pages;
    }
    if (context_.images.size() == 1) item_.shows = shown_by(context_.images.front().written);
    check_document_keys();
    if (item_.shows == Item::Shows::image) item_.document_settings.reset();
    if (item_.shows != Item::Shows::image) item_.document = item_.images.front().written;
    if (item_.shows != Item::Shows::image && !needs_decoder(item_.task) &&
        (item_.shows == Item::Shows::video || item_.document_settings->pages_as == PagesAs::images))
      fail(fmt::format("the task {} takes one image: show pages with 'pages_as: items'",
                       to_string(item_.task)));
  }

  /// Keys that say nothing to what the item shows.
  void check_document_keys() const {
    const bool image = item_.shows == Item::Shows::image, video = item_.shows == Item::Shows::video;
    const char* const problem = image   ? "without a 'document' or 'video'"
                                : video ? "for a video: it is about the pages of a document"
                                        : "for a document: it is about the frames of a video";
    for (const std::string& key : image ? document_keys() : video ? page_keys() : video_keys()) {
      if (const Node::Entry* entry = get(key.c_str()))
        fail(*entry, fmt::format("key '{}' has no meaning {}", key, problem));
    }
  }

  void read_images() {
    exclude("image", "images");
    item_.images = context_.images;
    read_document();
    if (const Node::Entry* entry = get("image")) add_image(*entry, *entry->value);
    const Node::Entry* const list = get("images");
    if (list == nullptr) return;
    for (const NodePointer& element : list_of(*list, "a list of paths")) add_image(*list, *element);
  }

  /// Keys that say nothing to the item's task.
  void check_task_keys() const {
    std::vector<const char*> foreign = {"labels", "template"};
    if (!asks_about_images(item_.task)) foreign.push_back("regions");
    if (item_.task == Task::classify)
      foreign = {"question", "prompt", "messages", "generation", "chat_template_kwargs", "tools", "regions"};
    if (item_.task == Task::embed)
      foreign = {"messages", "labels", "template", "generation", "chat_template_kwargs", "tools", "regions"};
    if (!needs_decoder(item_.task)) {
      for (const std::string& key : constraint_keys()) foreign.push_back(key.c_str());
    }
    for (const char* key : foreign) {
      if (const Node::Entry* entry = get(key))
        fail(*entry, fmt::format("key '{}' has no meaning in the task {}", key, to_string(item_.task)));
    }
  }

  void read_labels() {
    item_.labels = job_.labels;
    if (const Node::Entry* entry = get("labels")) {
      auto own = std::make_shared<LabelSet>();
      own->label_template = job_.label_template;
      for (const NodePointer& element : list_of(*entry, "a list of texts"))
        own->labels.push_back(scalar(*entry, *element));
      check(*entry, labels_fault(own->labels));
      item_.labels = std::move(own);
    }
    if (!item_.labels) fail("the item has no 'labels', and its job has none either");
    if (const Node::Entry* entry = get("template")) {
      auto own = std::make_shared<LabelSet>(*item_.labels);
      own->label_template = text(*entry, *entry->value);
      check(*entry, label_template_fault(own->label_template));
      item_.labels = std::move(own);
    }
    if (item_.labels != job_.labels) {
      const std::string fault = label_size_fault(*item_.labels);
      if (!fault.empty()) fail(fault, ErrorCode::invalid_value);
    }
  }

  static void check(const Node::Entry& entry, const std::string& fault) {
    if (!fault.empty()) fail(entry, fault, ErrorCode::invalid_value);
  }

  /// An image or a text.
  void read_embedded() {
    if (item_.images.empty()) {
      if (!get("question") && !get("prompt"))
        fail("the item has neither an 'image' nor a text ('prompt') to embed");
      return read_prompt();
    }
    for (const char* key : {"question", "prompt"}) {
      if (const Node::Entry* entry = get(key))
        fail(*entry, "both an image and a text are given: the task embed takes one");
    }
  }

  /// Turns are what `generate` has with `chat` only.
  void check_turn_settings() const {
    if (item_.task != Task::generate || job_.form == PromptForm::turns) return;
    const char* const dropped = job_.system ? "system" : job_.turn_format.empty() ? nullptr : "turn_format";
    if (dropped == nullptr) return;
    fail(fmt::format(
             "the job's '{}' would be dropped: the task generate sends a prompt as it is, unless the job "
             "says 'chat: true'",
             dropped),
         ErrorCode::invalid_value);
  }

  void read_prompt() {
    exclude("question", "prompt");
    check_turn_settings();
    const Node::Entry* const entry = get("question") ? get("question") : get("prompt");
    std::string question = entry ? text(*entry, *entry->value) : job_.question;
    const bool has_template = !job_.prompt_template.empty();
    const bool takes_question = !has_template || has_placeholder(job_.prompt_template);
    if (entry != nullptr && stripped(question).empty())
      fail(*entry, fmt::format("'{}' is empty", entry->key), ErrorCode::prompt_empty);
    if (stripped(question).empty() && takes_question) {
      fail(asks_about_images(item_.task) ? "the item has no 'question'" : "the item has no 'prompt'",
           ErrorCode::prompt_empty);
    }
    if (entry != nullptr && !takes_question) {
      fail(
          *entry,
          fmt::format("'{}' would be dropped: the job's 'prompt' has no {{question}} to take it", entry->key),
          ErrorCode::invalid_value);
    }
    if (!has_template) {
      item_.prompt = std::move(question);
      return;
    }
    const bool with_schema = shows_schema(job_.prompt_template);
    const std::string schema = with_schema ? schema_of(item_.generation, job_.schema) : "";
    if (with_schema && schema.empty()) {
      fail("the job's 'prompt' has {schema}, and no response_format says which: it takes a JSON Schema",
           ErrorCode::invalid_value);
    }
    const PromptParts parts{.question = question, .schema = stripped(schema)};
    const std::string fault = template_size_fault(job_.prompt_template, parts);
    if (!fault.empty()) fail(fault, ErrorCode::prompt_too_long);
    item_.prompt = fill_template(job_.prompt_template, parts);
  }

  void read_turns(const Node::Entry& messages) {
    for (const char* other : {"question", "prompt"}) {
      if (get(other))
        fail(messages, fmt::format("both '{}' and 'messages' are given: one is allowed", other));
    }
    const char* const dropped = job_.raw_prompt                ? "raw_prompt"
                                : job_.prompt_template.empty() ? nullptr
                                                               : "prompt";
    if (dropped != nullptr) {
      fail(messages,
           fmt::format("the job's '{}' would be dropped: 'messages' are turns of their own", dropped),
           ErrorCode::invalid_value);
    }
    read_messages({messages, MessageForms::item, folders()}, size_, item_);
  }

  void check_images() const {
    const std::size_t most = needs_decoder(item_.task) && item_.task != Task::detect ? SIZE_MAX : 1;
    const bool needs_one = item_.task == Task::classify || item_.task == Task::detect;
    if (item_.images.size() > most || (needs_one && item_.images.empty())) {
      fail(fmt::format("the item has {}, the task {} takes one", counted(item_.images.size(), "image"),
                       to_string(item_.task)));
    }
    if (item_.task == Task::vqa && item_.images.empty())
      fail("the item has no 'image', which the task vqa needs");
    if (item_.task == Task::generate && !item_.images.empty())
      fail("the task generate takes no images: use the task vqa");
  }

  const Node& node_;
  const ItemContext& context_;
  const Job& job_;
  Item& item_;
  ItemSize size_;
};

}  // namespace

std::string ItemContext::where(Place at) const {
  if (file.empty()) return default_id;
  if (at.line == 0) at = place;
  if (at.line == 0) return fmt::format("{}: {}", file, default_id);
  if (at.column == 0) return fmt::format("{}:{}", file, at.line);
  return fmt::format("{}:{}:{}", file, at.line, at.column);
}

const std::vector<std::string>& item_keys() {
  static const std::vector<std::string> keys = {"id",
                                                "image",
                                                "images",
                                                "question",
                                                "prompt",
                                                "messages",
                                                "answer",
                                                "answers",
                                                "question_type",
                                                "answer_type",
                                                "metadata",
                                                "generation",
                                                "labels",
                                                "template",
                                                "tools",
                                                "chat_template_kwargs",
                                                "image_tokens",
                                                "min_pixels",
                                                "max_pixels",
                                                "document",
                                                "video",
                                                "regions"};
  static const std::vector<std::string> all = [] {
    std::vector<std::string> both = keys;
    both.insert(both.end(), constraint_keys().begin(), constraint_keys().end());
    both.insert(both.end(), document_keys().begin(), document_keys().end());
    return both;
  }();
  return all;
}

ItemSize::~ItemSize() {
  if (context_.total_bytes != nullptr) *context_.total_bytes += bytes_;
}

void ItemSize::add(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > kMaxItemBytes) {
    throw PlacedError(ErrorCode::invalid_item, context_.place,
                      fmt::format("the item is too large: at most {} MiB of texts", kMaxItemBytes >> 20));
  }
}

std::shared_ptr<Item> begin_item(const ItemContext& context) {
  auto item = std::make_shared<Item>();
  item->job = context.job_index;
  item->position = context.position;
  item->id = context.own_id.empty() ? context.default_id : context.own_id;
  item->id_from = context.own_id.empty() ? context.default_id_from : Item::IdFrom::listing;
  item->task = context.job->task;
  item->form = context.job->form;
  item->where = context.where(context.place);
  return item;
}

ReadError read_error(const ItemContext& context, const PlacedError& fault) {
  constexpr std::size_t kMaxMessageBytes = 400;
  return {fault.code(), shortened(fault.what(), kMaxMessageBytes), context.where(fault.place)};
}

ReadItem failed_item(const ItemContext& context, const PlacedError& fault) {
  return {begin_item(context), read_error(context, fault)};
}

ReadItem build_item(const Node& node, const ItemContext& context) {
  if (node.kind != Node::Kind::map) {
    return failed_item(context, PlacedError(ErrorCode::invalid_item, context.place,
                                            "an item must be a map {key: value, …}"));
  }
  return built_item(context, [&](Item& item) { ItemBuilder(node, context, item).build(); });
}

}  // namespace mmbatch
