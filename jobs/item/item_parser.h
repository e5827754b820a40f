#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/item/item.h"
#include "jobs/manifest/manifest.h"

namespace mmbatch {

/// An item as a JSON object, in whatever format it was listed (keys are checked, none stands twice):
///
///   item     = { "id"?: text | integer,  ("image": text | "images": [text…])?,
///                ("question" | "prompt": text)  |  "messages": [message…]
///                |  "labels"?: [scalar…], "template"?: text,
///                ("answer": scalar | "answers": [scalar | {"answer": text}…])?,
///                "question_type"?: text, "answer_type"?: text, "metadata"?: any, "generation"?: {name:
///                value…} }
///   message  = { "role": "system" | "user" | "assistant", "content": text | [part…] }
///   part     = { "type": "text", "text": text } | { "type": "image_url", "image_url": text | {"url": text} }
///
/// A key with null is as if it were not there.
struct ItemContext {
  enum class TaskFrom { job, images };  // lines of a batch file have no task: with images it is vqa
  const Job* job = nullptr;
  std::size_t job_index = 0;
  std::filesystem::path
      folder;  // of the listing; relative images start there unless the job has an image_root
  TaskFrom task_from = TaskFrom::job;
  std::uint64_t position = 0;
  std::string default_id;
  Item::IdFrom default_id_from = Item::IdFrom::position;
  std::string where;                                             // "file:line"
  std::function<std::string(const std::string& key)> where_key;  // "file:line:column"; may be empty
  std::function<std::string(std::size_t offset)> where_offset;   // of the JSON text; may be empty
};

const std::vector<std::string>& item_keys();

/// Reads one item. A fault of the item is in the result; id and position are there as far as they can be
/// known.
ReadItem parse_item(std::string_view json, const ItemContext& context);

/// An item that failed before there was anything to parse.
ReadItem failed_item(const ItemContext& context, ErrorCode code, const std::string& problem);

/// Reads settings from a JSON object, each checked by set().
/// @throws ItemError unknown_key or invalid_value.
GenerationOverrides parse_generation(std::string_view json);

/// Where an image lies that a listing names. @throws ItemError
Item::Image resolve_image(std::string_view written, const ItemContext& context);

}  // namespace mmbatch
