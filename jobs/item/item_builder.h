#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "jobs/item/fields.h"
#include "jobs/item/item.h"
#include "jobs/item/job.h"
#include "jobs/text/node.h"

namespace mmbatch {

constexpr std::size_t kMaxItemBytes = 32u << 20;  // of an item's texts: aliases can multiply

/// An item, in whatever format it was listed:
///
///   item     = { "id"?: scalar,  ("image": text | "images": [text…])?,
///                ("question" | "prompt": text)  |  "messages": [message…]
///                |  "labels"?: [scalar…], "template"?: text,
///                ("answer": scalar | "answers": [scalar | {"answer": scalar}…])?,
///                "question_type"?: text, "answer_type"?: text, "metadata"?: any, "generation"?: {name:
///                value…}, "tools"?: [{…}…], "chat_template_kwargs"?: {name: any…}, what the answer is held
///                to (constraint_keys.h) }
///
/// A key with null is as if it were not there. Messages: message_reader.h.
struct ItemContext {
  const Job* job = nullptr;
  std::size_t job_index = 0;
  std::filesystem::path folder;  // of the listing; relative images start there unless the job has a root
  std::string file;              // empty where items have no place in a file
  std::uint64_t position = 0;
  std::string default_id;
  Item::IdFrom default_id_from = Item::IdFrom::position;
  std::string own_id;                  // where it is known whatever is wrong with the item
  Place place;                         // of the item
  std::vector<Item::Image> images;     // that came with it, from an archive
  std::size_t* total_bytes = nullptr;  // gets the bytes of the item's texts; may be null

  /// "file:line:column" as far as known; without a line, the item's id.
  std::string where(Place at) const;
};

const std::vector<std::string>& item_keys();

/// Builds the item. A fault of it is in the result; id and position are there as far as they are known.
ReadItem build_item(const Node& node, const ItemContext& context);

/// The same from a request of an OpenAI batch file (platform.openai.com/docs/guides/batch):
///
///   { "custom_id": text, "method": "POST", "url": URL, "body": { … } }
///
/// to /v1/chat/completions, /v1/responses, /v1/completions or /v1/embeddings (requests/request_body.h). With
/// images it is an item of the task vqa, else of generate; of embeddings, of embed.
ReadItem build_request(const Node& node, const ItemContext& context);

/// Whether the keys of a value are those of a request, which no item has.
bool is_request(const Node& node);

/// An item that failed before there was anything to build.
ReadItem failed_item(const ItemContext& context, const PlacedError& fault);

/// What builders begin with: id, task and place.
std::shared_ptr<Item> begin_item(const ItemContext& context);
/// Runs `build`, and puts its fault into the item's result.
template <class Build>
ReadItem built_item(const ItemContext& context, Build&& build);

/// Adds up the texts of an item.
class ItemSize {
 public:
  explicit ItemSize(const ItemContext& context) : context_(context) {}
  ~ItemSize();
  ItemSize(const ItemSize&) = delete;
  ItemSize& operator=(const ItemSize&) = delete;
  /// @throws PlacedError when the item has become too large
  void add(std::size_t bytes);

 private:
  const ItemContext& context_;
  std::size_t bytes_ = 0;
};

/// A fault as it is told: shortened, with its place.
ReadError read_error(const ItemContext& context, const PlacedError& fault);

template <class Build>
ReadItem built_item(const ItemContext& context, Build&& build) {
  const std::shared_ptr<Item> item = begin_item(context);
  ReadItem read{item, std::nullopt};
  try {
    build(*item);
  } catch (const PlacedError& e) {
    read.error = read_error(context, e);
  } catch (const ItemError& e) {
    read.error = read_error(context, PlacedError(e.code(), context.place, e.what()));
  }
  return read;
}

}  // namespace mmbatch
