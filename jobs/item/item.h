#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/generation_config.h"
#include "engine/base/image/image_budget.h"
#include "engine/base/image/image_part.h"
#include "jobs/item/dialogue/template_variables.h"
#include "jobs/item/document/document.h"
#include "jobs/item/labels.h"

namespace mmbatch {

/// What a job asks of the model: an answer about images, a text, the best of some labels for an image, or an
/// image or text as an embedding. The first two need a model with a decoder, the others a dual encoder.
enum class Task { vqa, generate, classify, embed, detect };
std::string_view to_string(Task task);
const std::vector<std::string>& task_names();
std::optional<Task> find_task(std::string_view name);
/// Whether an item has images and a question, put into the model's own turns: vqa, and detect, whose answers
/// are read for regions too.
bool asks_about_images(Task task);
/// Whether the answer is written token by token.
bool needs_decoder(Task task);

/// Whether answers are read for regions: those of the task detect, or as a job or an item asks.
enum class Regions { by_task, wanted };

/// Whether a prompt is put into the model's own turns, or sent as it is.
enum class PromptForm { turns, raw };

/// One thing to be answered, as its manifest or listing file has it. A value; no file but the listing was
/// touched.
struct Item {
  /// A file, the bytes of a `data:` URI, or a member of an archive; read by media.h.
  struct Image {
    std::string written;         // as in the listing; a data: URI is shortened for people
    std::filesystem::path path;  // resolved against image_root or the listing's folder; empty for a data: URI
    std::filesystem::path root;  // what the path must not leave; empty: paths are free
    std::string data;            // base64 text of a data: URI
    std::shared_ptr<const std::string> bytes = {};  // of an archive's member, which were read with the item
    ImagePart part = {};                            // which picture of a file with several
  };
  struct Message {
    std::string role;        // user | assistant | system | developer | tool
    std::string content;     // text without image placeholders
    std::size_t images = 0;  // this many of the item's images, in order, come before this text
    // JSON list of {type: text, text} and {type: image}, when they stand otherwise than images before one
    // text.
    std::string parts = {};
    std::string other = {};  // JSON object of further keys: tool_calls, tool_call_id, name, reasoning_content
  };

  /// What the first image is: a picture, or a file of which parts are shown, in whose place items with parts
  /// of it come (listing/document/document_items.h).
  enum class Shows { image, pages, video };

  std::size_t job = 0;         // index into Manifest::jobs
  std::uint64_t position = 0;  // 1 for the job's first
  enum class IdFrom { listing, file, position };
  std::string id;  // as written, else the name of its files, else the line or position number
  IdFrom id_from = IdFrom::position;
  std::uint64_t variant =
      0;  // 0, or the position when an item before has the same id: tells failed rows apart
  Task task = Task::vqa;
  Regions regions = Regions::by_task;
  PromptForm form = PromptForm::turns;  // from the task and the job's `chat` and `raw_prompt`
  std::vector<Image> images;
  std::string prompt;  // question in the job's template; with messages, these as text for people
  std::vector<std::string> further_texts;  // of `embed`, behind the prompt: each becomes an answer of its own
  std::vector<Message> messages;  // only when the item is written as turns; then `prompt` is not to be sent
  std::shared_ptr<const LabelSet> labels;  // classify: the item's own, or the job's
  std::vector<std::string> references;
  std::string question_type;
  std::string answer_type;
  std::string metadata;                  // JSON text of any kind as it was written, or empty
  std::string metadata_digest;           // the same in canonical form, where that differs
  ImageBudget image_budget;              // the item's own
  GenerationOverrides generation;        // the item's own, names and ranges checked
  TemplateVariables template_variables;  // the item's own
  std::string tools;                     // JSON list of tool definitions; empty: those of the job
  std::string request;                   // JSON of what a batch line asks of the form of its answer; empty:
                                         // nothing but a chat completion's
  Shows shows = Shows::image;
  std::shared_ptr<const DocumentSettings> document_settings;  // not null unless it shows an image
  std::string document;     // as written, of an item that shows pages or moments of a file
  std::uint32_t page = 0;   // of the document, where the item shows one alone; from 1
  std::string frame_times;  // JSON list of the seconds that the item's images show of a video
  /// The images are frames of one video, which a model that takes videos is to get as such: its length in
  /// seconds, 0 where nobody asked.
  std::optional<double> video_length = {};
  SettingNames setting_names;  // what its listing calls settings, where it has other names
  std::string where;           // "file:line" or "file:line:column", for messages
};

/// Whether an item's answers are read for regions.
bool wants_regions(const Item& item);

/// What was wrong with an item as it was read, and where: more exact than the item's own place, if known.
struct ReadError {
  ErrorCode code = ErrorCode::invalid_item;
  std::string message;
  std::string where;  // "file:line" or "file:line:column"

  /// As it stands in the database.
  Error with_place() const { return {code, where + ": " + message}; }
};

/// What a reader gives: an item, or one that failed in being read, with id and position as far as they are
/// known. The item is shared from here to the database, and never copied: it may carry images as base64.
struct ReadItem {
  std::shared_ptr<const Item> item;  // never null
  std::optional<ReadError> error;
};

}  // namespace mmbatch
