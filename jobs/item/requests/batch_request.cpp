#include <fmt/format.h>

#include <algorithm>

#include "jobs/item/requests/request_body.h"
#include "jobs/text/json_text.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

struct Endpoint {
  const char* url;
  void (*build)(const RequestBody& request);
};
constexpr Endpoint kEndpoints[] = {{"/v1/chat/completions", build_chat},
                                   {"/v1/responses", build_response},
                                   {"/v1/completions", build_completion},
                                   {"/v1/embeddings", build_embedding}};

[[noreturn]] void fail(const ItemContext& context, const std::string& problem) {
  throw PlacedError(ErrorCode::invalid_item, context.place, problem);
}

void read_id(const Node& node, ItemSize& size, Item& item) {
  const Node::Entry* const entry = node.get("custom_id");
  if (entry == nullptr) return;
  const std::string& id = text_of(*entry, *entry->value);
  if (stripped(id).empty()) ill_typed(*entry, "a text that is not empty");
  size.add(id.size());
  item.id = id;
  item.id_from = Item::IdFrom::listing;
}

/// Where the request would go to: without a `url`, to chat completions.
const Endpoint& endpoint_of(const Node& node) {
  const Node::Entry* const method = node.get("method");
  if (method != nullptr && !is_text(*method->value, "POST")) ill_typed(*method, "POST");
  const Node::Entry* const url = node.get("url");
  if (url == nullptr) return kEndpoints[0];
  const auto* const found = std::find_if(std::begin(kEndpoints), std::end(kEndpoints),
                                         [&](const Endpoint& one) { return is_text(*url->value, one.url); });
  if (found != std::end(kEndpoints)) return *found;
  std::string allowed;
  for (const Endpoint& one : kEndpoints) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", one.url);
  throw PlacedError(ErrorCode::unsupported, url->place, fmt::format("key 'url' must be one of {}", allowed));
}

void build(const Node& node, const ItemContext& context, Item& item) {
  ItemSize size(context);
  read_id(node, size, item);
  check_keys(node, {"custom_id", "method", "url", "body"}, "a batch request");
  if (item.id_from != Item::IdFrom::listing) fail(context, "a batch request needs 'custom_id'");
  const Endpoint& endpoint = endpoint_of(node);
  const Node::Entry* const body = node.get("body");
  if (body == nullptr) fail(context, "a batch request needs 'body'");
  if (body->value->kind != Node::Kind::map) ill_typed(*body, "an object");
  endpoint.build({*body->value, context, size, item});
  // Rows of chat completions say nothing, as they did when there were no others.
  if (endpoint.build != build_chat && item.request.empty())
    item.request = fmt::format(R"({{"url":{}}})", json_string(endpoint.url));
}

}  // namespace

bool is_request(const Node& node) {
  return node.find("custom_id") != nullptr || node.find("body") != nullptr;
}

ReadItem build_request(const Node& node, const ItemContext& context) {
  if (node.kind != Node::Kind::map) {
    return failed_item(context, PlacedError(ErrorCode::invalid_item, context.place,
                                            "a batch request must be an object {key: value, …}"));
  }
  return built_item(context, [&](Item& item) {
    item.form = PromptForm::turns;
    build(node, context, item);
  });
}

}  // namespace mmbatch
