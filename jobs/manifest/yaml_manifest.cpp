#include "jobs/manifest/yaml_manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/item/constraint/constraint_keys.h"
#include "jobs/item/images/image_budget.h"
#include "jobs/item/item_builder.h"
#include "jobs/item/prompt_template.h"
#include "jobs/listing/archive/samples.h"
#include "jobs/listing/records.h"
#include "jobs/listing/vqa_files.h"
#include "jobs/manifest/job_fields.h"
#include "jobs/manifest/listing_kind.h"
#include "jobs/manifest/model_parts.h"
#include "jobs/manifest/yaml_tree.h"
#include "jobs/text/clock.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxInlineBytes = 512u << 20;  // of the texts of inline items: aliases can multiply

using Entry = Node::Entry;

const std::vector<std::string> kManifestKeys = {"model",
                                                "mmproj",
                                                "lora",
                                                "database",
                                                "generation",
                                                "truncated_images",
                                                "chat_template_kwargs",
                                                "reasoning_marks",
                                                "template_time",
                                                "image_tokens",
                                                "min_pixels",
                                                "max_pixels",
                                                "regions",
                                                "jobs",
                                                "response_format",
                                                "regex",
                                                "grammar",
                                                "choices",
                                                "whitespace",
                                                "on_length"};
const std::vector<std::string> kJobKeys = {"name",
                                           "task",
                                           "prompt",
                                           "question",
                                           "image_root",
                                           "items",
                                           "generation",
                                           "chat",
                                           "raw_prompt",
                                           "turn_format",
                                           "system",
                                           "labels",
                                           "template",
                                           "truncated_images",
                                           "tools",
                                           "chat_template_kwargs",
                                           "reasoning_marks",
                                           "image_tokens",
                                           "min_pixels",
                                           "max_pixels",
                                           "response_format",
                                           "regex",
                                           "grammar",
                                           "choices",
                                           "whitespace",
                                           "on_length",
                                           "pages",
                                           "pages_as",
                                           "dpi",
                                           "page_pixels",
                                           "frames",
                                           "fps",
                                           "times",
                                           "video_input",
                                           "regions",
                                           "fields"};

bool is_null(const Node& node) {
  return node.kind == Node::Kind::null;
}

class ManifestReader {
 public:
  explicit ManifestReader(const std::filesystem::path& file) : file_(file), folder_(file.parent_path()) {}

  Manifest read(const Node& root) {
    check_keys(root, kManifestKeys, "the manifest");
    manifest_.file = file_;
    for (const Entry& entry : root.map) {
      if (entry.key == "model") manifest_.model = path(entry);
      if (entry.key == "database") manifest_.database = path(entry);
      if (entry.key == "generation") manifest_.generation = generation(entry);
      if (entry.key == "truncated_images") truncated_images_ = truncated_images(entry);
      if (entry.key == "regions") regions_ = regions(entry);
      if (entry.key == "chat_template_kwargs") template_variables_ = template_variables(entry);
      if (entry.key == "reasoning_marks") reasoning_marks_ = reasoning_marks(entry);
      if (entry.key == "template_time") manifest_.template_time = time(entry);
    }
    manifest_.parts = model_parts(root);
    image_budget_ = image_budget(root);
    hold_to_form(root, manifest_.generation);
    const Entry* jobs = root.find("jobs");
    if (jobs == nullptr) fail(root, "'jobs' is missing: a list of jobs, each with name, task and items");
    if (jobs->value->kind != Node::Kind::list || jobs->value->list.empty()) {
      fail(*jobs, "'jobs' must be a list of jobs");
    }
    for (const auto& job : jobs->value->list) read_job(*job);
    return std::move(manifest_);
  }

 private:
  std::string said_at(Place place) const {
    return fmt::format("{}:{}:{}", file_.string(), place.line, place.column);
  }
  template <class Placed>
  [[noreturn]] void fail(const Placed& at, const std::string& problem) const {
    throw UsageError(fmt::format("{}: {}", said_at(at.place), problem));
  }

  void check_keys(const Node& node, const std::vector<std::string>& known, const std::string& owner) const {
    const std::string list = fmt::format("known keys are {}", fmt::join(known, ", "));
    if (node.kind != Node::Kind::map) fail(node, fmt::format("{} must be a map; {}", owner, list));
    check_unique(node);
    for (const Entry& entry : node.map) {
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      const std::string guess = guess_of(entry.key, known);
      fail(entry, fmt::format("unknown key '{}' in {}{}{}; {}", entry.key.substr(0, 80), owner,
                              guess.empty() ? "" : ", ", guess, list));
    }
  }

  void check_unique(const Node& node) const {
    if (node.repeated == Node::kNone) return;
    const Entry& entry = node.map[node.repeated];
    fail(entry, fmt::format("key '{}' is given twice", shortened(entry.key, 80)));
  }

  std::string text(const Entry& entry) const {
    const Node& node = *entry.value;
    if (node.kind != Node::Kind::text) fail(entry, fmt::format("'{}' must be a text", entry.key));
    if (node.text.find('\0') != std::string::npos)
      fail(entry, fmt::format("'{}' has a NUL character", entry.key));
    return node.text;
  }

  std::filesystem::path path(const Entry& entry) const {
    const std::string written = text(entry);
    if (stripped(written).empty()) fail(entry, fmt::format("'{}' must be a path", entry.key));
    return (folder_ / written).lexically_normal();
  }

  bool flag(const Entry& entry) const {
    if (entry.value->kind != Node::Kind::boolean)
      fail(entry, fmt::format("'{}' must be true or false", entry.key));
    return entry.value->is_true();
  }

  TruncatedImages truncated_images(const Entry& entry) const {
    const std::string& value = entry.value->text;
    if (!entry.value->is_scalar() || (value != "fail" && value != "accept")) {
      fail(entry,
           "'truncated_images' must be fail (an image whose pixels are not all there fails its item) or "
           "accept");
    }
    return value == "fail" ? TruncatedImages::fail : TruncatedImages::accept;
  }

  /// What readers of items say, as a fault of the manifest.
  template <class Read>
  auto placed(const Read& read) const {
    try {
      return read();
    } catch (const PlacedError& e) {
      throw UsageError(fmt::format("{}: {}", said_at(e.place), e.what()));
    }
  }

  ModelParts model_parts(const Node& root) const {
    return placed([&] { return read_model_parts(root, folder_); });
  }

  Regions regions(const Entry& entry) const { return flag(entry) ? Regions::wanted : Regions::by_task; }

  ImageBudget image_budget(const Node& node) const {
    return placed([&] { return read_image_budget(node); });
  }

  GenerationOverrides generation(const Entry& owner) const {
    if (is_null(*owner.value)) return {};
    return placed([&] { return read_generation(owner); });
  }

  TemplateVariables template_variables(const Entry& owner) const {
    if (is_null(*owner.value)) return {};
    return placed([&] { return read_template_variables(owner); });
  }

  std::vector<std::string> reasoning_marks(const Entry& entry) const {
    const Node& value = *entry.value;
    if (value.kind == Node::Kind::text && value.text == "none") return {};
    const auto is_mark = [](const NodePointer& mark) {
      return mark->kind == Node::Kind::text && !stripped(mark->text).empty();
    };
    if (value.kind != Node::Kind::list || value.list.size() != 2 || !is_mark(value.list[0]) ||
        !is_mark(value.list[1]))
      fail(entry,
           "'reasoning_marks' must be the marks around thoughts, such as [\"<think>\", \"</think>\"], or "
           "none");
    return {value.list[0]->text, value.list[1]->text};
  }

  std::tm time(const Entry& entry) const {
    if (const auto read = entry.value->is_scalar() ? read_time(entry.value->text) : std::nullopt)
      return *read;
    fail(entry, fmt::format("'template_time': '{}' is not a date that there is, such as 2026-01-31 or "
                            "2026-01-31T12:34:56",
                            shortened(entry.value->text, 40)));
  }

  /// What answers are held to, on top of the settings.
  void hold_to_form(const Node& node, GenerationOverrides& settings) {
    try {
      add_constraint(node, folder_, settings);
      if (const auto file = schema_file(node, folder_)) manifest_.named_files.push_back(*file);
    } catch (const PlacedError& e) {
      throw UsageError(fmt::format("{}: {}", said_at(e.place), e.what()));
    }
  }

  void read_job(const Node& node) {
    check_keys(node, kJobKeys, "a job");
    Job job;
    read_names(node, job);
    check_task_keys(node, job);
    read_prompts(node, job);
    read_labels(node, job);
    if (const Entry* entry = node.find("image_root")) {
      job.image_root = path(*entry);
      std::error_code failed;
      if (!std::filesystem::is_directory(job.image_root, failed)) {
        fail(*entry, fmt::format("'image_root': {} is not a folder", job.image_root.string()));
      }
    }
    if (const Entry* entry = node.find("generation")) job.generation = generation(*entry);
    job.image_budget = merged(image_budget_, image_budget(node));
    hold_to_form(node, job.generation);
    job.schema = schema_of(job.generation, schema_of(manifest_.generation, ""));
    if (const Entry* entry = node.find("fields"))
      job.fields = placed([&] { return read_field_rules(*entry, job.schema); });
    if (asks_about_images(job.task)) job.regions = regions_;
    if (const Entry* entry = node.find("regions")) job.regions = regions(*entry);
    job.documents = placed([&] { return read_document_settings(node); });
    job.truncated_images = truncated_images_;
    if (const Entry* entry = node.find("truncated_images")) job.truncated_images = truncated_images(*entry);
    const Entry* items = node.find("items");
    if (items == nullptr) fail(node, fmt::format("'items' is missing in job '{}'", job.name));
    manifest_.jobs.push_back(std::move(job));
    if (items->value->kind == Node::Kind::list)
      read_inline(*items->value);
    else if (items->value->kind == Node::Kind::map)
      read_vqa_files(*items);
    else
      read_listing(*items);
  }

  void read_names(const Node& node, Job& job) {
    job.name = fmt::format("job{}", manifest_.jobs.size() + 1);
    if (const Entry* name = node.find("name")) {
      if (!name->value->is_scalar() || stripped(name->value->text).empty()) {
        fail(*name, "'name' must be a text");
      }
      job.name = name->value->text;
      if (job.name.find('\0') != std::string::npos) fail(*name, "'name' has a NUL character");
    }
    for (const Job& other : manifest_.jobs) {
      if (other.name == job.name) fail(node, fmt::format("a job named '{}' exists already", job.name));
    }
    const Entry* task = node.find("task");
    const std::string allowed = fmt::format("{}", fmt::join(task_names(), ", "));
    if (task == nullptr) {
      fail(node, fmt::format("'task' is missing in job '{}'; it is one of {}", job.name, allowed));
    }
    const std::string& written = task->value->text;
    const auto found = find_task(written);
    if (!found) {
      const std::string nearest = nearest_name(written, task_names());
      fail(*task, fmt::format("'task' must be one of {}{}", allowed,
                              nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
    }
    job.task = *found;
  }

  /// Keys that say nothing to the job's task.
  void check_task_keys(const Node& node, const Job& job) const {
    std::vector<const char*> foreign = {"labels", "template"};
    if (job.task == Task::generate) foreign.push_back("regions");
    if (!needs_decoder(job.task))
      foreign = {"question",   "chat",  "raw_prompt",           "turn_format",     "system",
                 "generation", "tools", "chat_template_kwargs", "reasoning_marks", "regions"};
    if (!needs_decoder(job.task)) {
      for (const std::string& key : constraint_keys()) foreign.push_back(key.c_str());
    }
    if (job.task == Task::classify) foreign.push_back("prompt");
    if (job.task == Task::embed) foreign.insert(foreign.end(), {"labels", "template"});
    for (const char* key : foreign) {
      const Entry* entry = node.find(key);
      if (entry == nullptr) continue;
      fail(*entry, fmt::format("'{}' has no meaning in a job of the task {}{}", key, to_string(job.task),
                               std::string_view(key) == "regions" ? ": it needs images"
                               : needs_decoder(job.task)          ? ": it belongs to classify"
                                                                  : ""));
    }
  }

  void read_labels(const Node& node, Job& job) {
    if (const Entry* entry = node.find("template")) {
      job.label_template = text(*entry);
      const std::string fault = label_template_fault(job.label_template);
      if (!fault.empty()) fail(*entry, fault);
    }
    const Entry* entry = node.find("labels");
    if (entry == nullptr) return;
    auto set = std::make_shared<LabelSet>();
    set->label_template = job.label_template;
    std::size_t bytes = 0;
    for (const auto& label : entry->value->list) {
      if (!label->is_scalar()) fail(*label, "'labels' must be a list of texts");
      bytes += label->text.size();
      if (bytes > kMaxItemBytes) fail(*entry, "'labels' are too large");  // aliases can multiply
      set->labels.push_back(label->text);
    }
    const std::string fault = labels_fault(set->labels);
    if (!fault.empty()) fail(*entry, fault);
    const std::string size_fault = label_size_fault(*set);
    if (!size_fault.empty()) fail(*entry, size_fault);
    job.labels = std::move(set);
  }

  void read_prompts(const Node& node, Job& job) {
    if (const Entry* entry = node.find("prompt")) {
      job.prompt_template = text(*entry);
      const Misspelt wrong = misspelt_placeholder(job.prompt_template);
      if (!wrong.word.empty()) {
        fail(*entry, fmt::format("unknown placeholder {{{}}} in 'prompt', did you mean {{{}}}?", wrong.word,
                                 wrong.nearest));
      }
    }
    if (const Entry* entry = node.find("question")) {
      job.question = text(*entry);
      if (!job.prompt_template.empty() && !has_placeholder(job.prompt_template))
        fail(*entry, "'question' would be dropped: the job's 'prompt' has no {question} to take it");
    }
    if (const Entry* entry = node.find("turn_format")) {
      job.turn_format = text(*entry);
      if (job.turn_format.find('{') == std::string::npos)  // a name, or a file
        manifest_.named_files.push_back(folder_ / job.turn_format);
    }
    if (const Entry* entry = node.find("system")) job.system = text(*entry);
    job.template_variables = template_variables_;
    job.reasoning_marks = reasoning_marks_;
    if (const Entry* entry = node.find("reasoning_marks")) job.reasoning_marks = reasoning_marks(*entry);
    if (const Entry* entry = node.find("chat_template_kwargs"))
      job.template_variables = merged(job.template_variables, template_variables(*entry));
    if (const Entry* entry = node.find("tools"); entry != nullptr && !is_null(*entry->value))
      job.tools = placed([&] { return read_tools(*entry); });
    const Entry* raw = node.find("raw_prompt");
    const Entry* chat = node.find("chat");
    const bool is_raw = raw != nullptr && flag(*raw);
    const bool is_chat = chat != nullptr && flag(*chat);
    if (is_raw && is_chat) fail(*raw, "'raw_prompt' and 'chat' exclude each other");
    if (chat != nullptr && !is_chat && !is_raw && asks_about_images(job.task)) {
      fail(*chat,
           fmt::format("'chat: false' has no effect in a job of the task {}, whose questions are turns; "
                       "'raw_prompt: true' sends them as they are",
                       to_string(job.task)));
    }
    for (const char* key : {"system", "turn_format"}) {
      const Entry* dropped = is_raw ? node.find(key) : nullptr;
      if (dropped != nullptr)
        fail(*dropped, fmt::format("'{}' would be dropped: 'raw_prompt' sends the text as it is", key));
    }
    const bool turns = !is_raw && (is_chat || asks_about_images(job.task));
    job.form = turns ? PromptForm::turns : PromptForm::raw;
    job.raw_prompt = is_raw;
  }

  /// items: {questions: FILE, annotations: FILE, images: "val2014/COCO_val2014_{image_id:012}.jpg"}
  void read_vqa_files(const Entry& entry) {
    const Node& node = *entry.value;
    check_keys(node, {"questions", "annotations", "images"}, "'items'");
    const Entry* questions = node.find("questions");
    const Entry* images = node.find("images");
    if (questions == nullptr || images == nullptr)
      fail(entry, "'items' as a map needs 'questions', a file, and 'images', a name with {image_id}");
    ItemSource& source = manifest_.jobs.back().source;
    source.kind = ItemSource::Kind::vqa;
    source.path = path(*questions);
    if (const Entry* annotations = node.find("annotations")) source.annotations = path(*annotations);
    source.image_pattern = text(*images);
    const std::string fault = image_pattern_fault(source.image_pattern);
    if (!fault.empty()) fail(*images, fmt::format("'images': {}", fault));
    try {
      open_vqa({source.path, source.annotations, source.image_pattern});
    } catch (const UsageError& e) {
      fail(entry, fmt::format("'items': {}", e.what()));
    }
  }

  void read_listing(const Entry& entry) {
    const std::string written = text(entry);
    ItemSource& source = manifest_.jobs.back().source;
    source.path = (folder_ / written).lexically_normal();
    if (const auto kind = listing_kind(source.path)) {
      source.kind = *kind;
    } else {
      const std::string fault = picture_pattern_fault(source.path);
      if (!fault.empty()) fail(entry, fmt::format("'items': {}", fault));
      source.kind = ItemSource::Kind::glob;
      source.path = written;
    }
    try {
      check_source(manifest_.jobs.back());
    } catch (const UsageError& e) {
      fail(entry, fmt::format("'items': {}", e.what()));
    }
  }

  void check_source(const Job& job) const {
    const std::filesystem::path& source = job.source.path;
    if (job.source.kind == ItemSource::Kind::jsonl) open_jsonl(source);
    if (job.source.kind == ItemSource::Kind::json) open_json(source);
    if (job.source.kind == ItemSource::Kind::csv) open_csv(source);
    if (job.source.kind == ItemSource::Kind::tsv) open_csv(source, '\t');
    if (job.source.kind == ItemSource::Kind::archive) open_samples(source, Question::of_item);
    if (job.source.kind != ItemSource::Kind::glob) return;
    open_glob(source.string(), job.image_root.empty() ? folder_ : job.image_root);
    if (!needs_decoder(job.task)) return;
    if (!asks(job)) throw UsageError("a pattern of image files needs the job's 'question'");
  }

  void read_inline(const Node& list) {
    const Job& job = manifest_.jobs.back();
    auto items = std::make_shared<std::vector<ReadItem>>();
    std::size_t bytes = 0;
    ItemContext context;
    context.job = &job;
    context.job_index = manifest_.jobs.size() - 1;
    context.folder = folder_;
    context.file = file_.string();
    context.total_bytes = &bytes;
    for (const NodePointer& node : list.list) {
      context.position = items->size() + 1;
      context.default_id = std::to_string(context.position);
      context.place = node->place;
      items->push_back(build_item(*node, context));
      if (inline_bytes_ + bytes > kMaxInlineBytes)
        fail(*node, "the items are too large: list them in a .jsonl file");
    }
    inline_bytes_ += bytes;
    manifest_.jobs.back().source.in_manifest = std::move(items);
  }

  std::filesystem::path file_;
  std::filesystem::path folder_;
  Manifest manifest_;
  TruncatedImages truncated_images_ = TruncatedImages::fail;  // of jobs that say nothing
  Regions regions_ = Regions::by_task;                        // likewise
  ImageBudget image_budget_;                                  // weaker than what jobs say
  TemplateVariables template_variables_;                      // of the manifest, as the next
  std::optional<std::vector<std::string>> reasoning_marks_;
  std::size_t inline_bytes_ = 0;
};

}  // namespace

Manifest read_yaml_manifest(std::string_view text, const std::filesystem::path& file) {
  const auto root = parse_yaml(text, file.string());
  return ManifestReader(file).read(*root);
}

}  // namespace mmbatch
