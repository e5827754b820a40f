#include "pipeline/inspect/prompt_view.h"

#include <fmt/format.h>

#include <memory>
#include <ostream>
#include <span>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/text/counted.h"
#include "fusion/prompting.h"
#include "jobs/item/item_builder.h"
#include "jobs/listing/item_reader.h"
#include "jobs/manifest/manifest.h"
#include "jobs/media/media.h"
#include "jobs/text/clock.h"
#include "jobs/text/json_node.h"
#include "jobs/text/json_text.h"
#include "pipeline/documents/parts_counter.h"
#include "pipeline/run/outputs.h"
#include "pipeline/stages/encode_text.h"
#include "pipeline/stages/images/image_names.h"
#include "pipeline/stages/images/shown_pictures.h"
#include "vision/document/document.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxMessagesBytes = std::size_t{32} << 20;

struct Shown {
  std::string text;
  std::vector<std::int32_t> ids;
  std::size_t tokens = 0;          // with those of images
  std::size_t unknown_images = 0;  // that are not at hand: they count as one token each
};

/// An item, and the manifest that says how it is written.
struct Subject {
  Manifest manifest;
  std::shared_ptr<const Item> item;
  std::size_t unknown_images = 0;
};

/// Image parts of messages that name no image.
std::size_t bare_images(const Node& node) {
  std::size_t count = 0;
  const Node::Entry* const type = node.find("type");
  const auto names = [&](const char* key) { return node.get(key) != nullptr; };
  if (type != nullptr && type->value->text == "image" && !names("image") && !names("url") && !names("path"))
    ++count;
  for (const NodePointer& element : node.list) count += bare_images(*element);
  for (const Node::Entry& entry : node.map) count += bare_images(*entry.value);
  return count;
}

/// An item with these images, when it has none.
NodePointer with_images(const Node& item, const std::vector<std::string>& images) {
  auto list = std::make_shared<Node>();
  list->kind = Node::Kind::list;
  for (const std::string& image : images) list->list.push_back(text_node(image));
  auto made = std::make_shared<Node>(item);
  made->map.push_back({.key = "images", .place = item.place, .value = std::move(list)});
  return made;
}

Job job_of(const PromptViewOptions& options, Task task) {
  Job job;
  job.task = task;
  job.form = options.form;
  job.turn_format = options.turn_format;
  if (!options.system.empty()) job.system = options.system;
  return job;
}

Subject of_text(const PromptViewOptions& options) {
  Subject subject;
  auto item = std::make_shared<Item>();
  item->form = options.form;
  item->task = options.images.empty() ? Task::generate : Task::vqa;
  item->prompt = *options.text;
  for (const fs::path& path : options.images) {
    Item::Image image;
    image.written = path.string();
    image.path = path;
    item->images.push_back(std::move(image));
  }
  subject.manifest.jobs.push_back(job_of(options, item->task));
  subject.item = std::move(item);
  return subject;
}

Subject of_messages(const PromptViewOptions& options) {
  const fs::path path = fs::absolute(options.messages);
  std::optional<std::string> json;
  try {
    json = FolderFiles(path.parent_path()).read_file(path.filename().string(), kMaxMessagesBytes);
  } catch (const ModelError& e) {
    throw UsageError(fmt::format("--messages: {}", e.what()));
  }
  if (!json) throw UsageError(fmt::format("--messages {}: no such file", options.messages.string()));
  const ParsedJson parsed = parse_json(*json);
  if (parsed.fault) {
    throw UsageError(fmt::format("{}:{}:{}: {}", options.messages.string(), parsed.fault->place.line,
                                 parsed.fault->place.column, parsed.fault->problem));
  }
  NodePointer node = parsed.node;
  if (node->kind == Node::Kind::list) {
    auto map = std::make_shared<Node>();
    map->kind = Node::Kind::map;
    map->place = node->place;
    map->map.push_back({.key = "messages", .place = node->place, .value = node});
    node = std::move(map);
  }
  Subject subject;
  std::vector<std::string> images;
  for (const fs::path& image : options.images) images.push_back(fs::absolute(image).string());
  const Node::Entry* const messages = node->kind == Node::Kind::map ? node->get("messages") : nullptr;
  const bool has_images = node->find("images") != nullptr || node->find("image") != nullptr;
  if (messages != nullptr && images.empty() && !has_images) {
    subject.unknown_images = bare_images(*messages->value);
    images.assign(subject.unknown_images, "unknown");
  }
  if (!images.empty() && node->kind == Node::Kind::map) node = with_images(*node, images);
  // With images it is an item of the one task, without of the other.
  for (const Task task : {Task::generate, Task::vqa}) {
    subject.manifest.jobs = {job_of(options, task)};
    ItemContext context;
    context.job = &subject.manifest.jobs.front();
    context.folder = path.parent_path();
    context.file = options.messages.string();
    context.default_id = "1";
    context.place = node->place;
    const ReadItem read = build_item(*node, context);
    subject.item = read.item;
    if (!read.error) break;
    const bool may_be_other = task == Task::generate && !read.item->images.empty();
    if (!may_be_other) throw ItemError(read.error->code, read.error->with_place().message);
  }
  return subject;
}

Subject of_manifest(const PromptViewOptions& options) {
  Subject subject{.manifest = read_manifest(
                      options.manifest, {.media_root = options.media_root, .count_parts = parts_counter()}),
                  .item = {}};
  const auto reader = open_items(subject.manifest);
  while (const auto read = reader->next()) {
    const Item& item = *read->item;
    const bool wanted = (options.id.empty() || item.id == options.id) &&
                        (options.job.empty() || subject.manifest.jobs[item.job].name == options.job);
    if (!wanted) continue;
    if (read->error) throw ItemError(read->error->code, read->error->with_place().message);
    if (!needs_decoder(item.task)) {
      throw UsageError(
          fmt::format("{}: items of the task {} have no prompt", item.where, to_string(item.task)));
    }
    subject.item = read->item;
    return subject;
  }
  throw UsageError(fmt::format("{}: no item{}{}", options.manifest.string(),
                               options.id.empty() ? "" : fmt::format(" '{}'", options.id),
                               options.job.empty() ? "" : fmt::format(" in the job '{}'", options.job)));
}

/// That nothing is written into a file that is read.
void check_streams(const PromptViewOptions& options, const Manifest* manifest) {
  FileRoles files;
  reads_model(files, options.model);
  files.reads("--messages", options.messages);
  files.reads("--manifest", options.manifest);
  files.reads_turn_format(options.turn_format);
  for (const fs::path& image : options.images) files.reads("--image", image);
  if (options.text) files.reads_standard_input();
  if (manifest != nullptr) files.reads(*manifest);
  files.check();
}

Shown shown(const ModelFiles& files, Subject subject, const PromptViewOptions& options) {
  subject.manifest.command_line_variables = options.template_variables;
  if (options.template_time) subject.manifest.template_time = options.template_time;
  const std::tm now = subject.manifest.template_time.value_or(read_time(utc_now()).value());
  const EncodeText encode_text(files, subject.manifest, now);
  const Item& item = *subject.item;
  const RenderedPrompt prompt = encode_text.prompt(item);
  Shown shown{.text = prompt.text, .ids = encode_text.ids(prompt, item)};
  if (subject.unknown_images > 0) {
    shown.unknown_images = subject.unknown_images;
    shown.tokens = shown.ids.size();
    return shown;
  }
  std::vector<PictureSize> pictures;
  for (std::size_t i = 0; i < item.images.size(); ++i) {
    const std::vector<unsigned char> bytes = read_image(item.images[i]);
    const ImageHeader header = naming(name_in_messages(item, i), [&] {
      return read_part_header(std::as_bytes(std::span(bytes)), item.images[i].part);
    });
    const PictureSize size{static_cast<int>(header.width), static_cast<int>(header.height)};
    pictures.push_back(header.orientation >= 5 ? PictureSize{size.height, size.width} : size);
  }
  pictures = picture_sizes(item, files.spec, pictures);
  if (!pictures.empty() && !files.images) throw UsageError("the model is text-only, but there are images");
  shown.tokens = Prompting(files).tokens(shown.ids, pictures);
  return shown;
}

std::string tokens_text(const Shown& shown) {
  if (shown.unknown_images > 0) {
    return fmt::format("{} and those of {}, which --image names",
                       counted(shown.ids.size() - shown.unknown_images, "token"),
                       counted(shown.unknown_images, "image"));
  }
  if (shown.tokens == shown.ids.size()) return counted(shown.tokens, "token");
  return counted(shown.tokens, "token") + ", with those of the images";
}

void write_json(const Shown& shown, const Tokenizer& tokenizer, std::ostream& out) {
  out << "{\"prompt\": " << json_string(shown.text) << ", \"count\": " << shown.tokens
      << ", \"images_not_counted\": " << shown.unknown_images << ", \"tokens\": [";
  for (std::size_t i = 0; i < shown.ids.size(); ++i) {
    out << fmt::format("{}{{\"id\": {}, \"token\": {}}}", i > 0 ? ", " : "", shown.ids[i],
                       json_string(tokenizer.piece(shown.ids[i])));
  }
  out << "]}\n";
}

void write(const Shown& shown, const Tokenizer& tokenizer, const PromptViewOptions& options,
           std::ostream& out, std::ostream& notes) {
  if (options.style == PromptViewOptions::Style::json) return write_json(shown, tokenizer, out);
  if (options.show == PromptViewOptions::Show::text) {
    out << shown.text;
    if (!shown.text.ends_with('\n')) out << '\n';
    out << std::flush;  // before the notes, which may go to the same place
    notes << tokens_text(shown) << std::endl;
    return;
  }
  for (const std::int32_t id : shown.ids)
    out << fmt::format("{:>7}  {}\n", id, json_string(tokenizer.piece(id)));
  out << tokens_text(shown) << '\n';
}

}  // namespace

ExitCode show_prompt(const PromptViewOptions& options, std::ostream& out, std::ostream& notes) {
  check_streams(options, nullptr);
  const bool bare = options.text && options.form == PromptForm::raw && options.images.empty();
  std::error_code failed;
  if (bare && fs::is_directory(options.model.model, failed)) {
    // A folder without weights has a tokenizer, too.
    const auto tokenizer = load_tokenizer(options.model.model);
    Shown shown{.text = *options.text, .ids = tokenizer->encode(*options.text)};
    shown.tokens = shown.ids.size();
    write(shown, *tokenizer, options, out, notes);
    return ExitCode::ok;
  }
  Subject subject = options.text               ? of_text(options)
                    : options.manifest.empty() ? of_messages(options)
                                               : of_manifest(options);
  check_streams(options, &subject.manifest);
  const ModelFiles files(options.model);
  if (files.spec.dual)
    throw UsageError(options.model.model.string() +
                     ": a dual encoder takes no prompts: `mmbatch tokenize` takes a text");
  write(shown(files, std::move(subject), options), *files.tokenizer, options, out, notes);
  return ExitCode::ok;
}

}  // namespace mmbatch
