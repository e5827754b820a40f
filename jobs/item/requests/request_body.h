#pragma once

#include <string>
#include <vector>

#include "jobs/item/item_builder.h"

namespace mmbatch {

/// The bodies of batch requests, one builder for each `url`. All throw PlacedError, ItemError.

struct RequestBody {
  const Node& body;
  const ItemContext& context;
  ItemSize& size;
  Item& item;

  [[noreturn]] void fail(const std::string& problem) const {
    throw PlacedError(ErrorCode::invalid_item, context.place, problem);
  }
};

void build_chat(const RequestBody& request);        // /v1/chat/completions
void build_response(const RequestBody& request);    // /v1/responses
void build_completion(const RequestBody& request);  // /v1/completions
void build_embedding(const RequestBody& request);   // /v1/embeddings

/// What a body may hold.
struct BodyKeys {
  std::vector<std::string> known;
  std::vector<std::string> ignored;      // without effect on an answer that is computed here
  std::vector<std::string> unsupported;  // allowed only as long as they ask for nothing
};
void check_body(const Node& body, const BodyKeys& keys);

/// Keys of a body and the names of the settings that they are.
struct RequestSetting {
  const char* written;
  const char* name;
};
/// Takes over the settings of a body, and its temperature: absent means the model's default, 0 greedy, above
/// 0 sampling without top_k.
void read_settings(const RequestBody& request, const std::vector<RequestSetting>& settings);
/// One setting, checked at once; its fault is said in the words of the request.
void add_setting(Item& item, const Node::Entry& entry, const char* name, GenerationValue value);

/// The tools that a model may call, from `tools`, `tool_choice` and `parallel_tool_calls`; null for none.
const Node::Entry* tools_of_request(const Node& body);

/// Text that is `text`.
bool is_text(const Node& value, std::string_view text);
/// A map of these entries; null values are left out.
NodePointer map_node(std::vector<Node::Entry> entries, Place place);
NodePointer list_node(std::vector<NodePointer> elements, Place place);

}  // namespace mmbatch
