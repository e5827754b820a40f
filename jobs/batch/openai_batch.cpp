#include "jobs/batch/openai_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "jobs/listing/records.h"
#include "jobs/text/json_text.h"

namespace mmbatch {
namespace {

using Json = nlohmann::json;

constexpr const char* kUrl = "/v1/chat/completions";

const std::vector<std::string> kSettings = {
    "messages", "model",    "max_tokens",   "max_completion_tokens", "temperature",      "top_p", "n", "stop",
    "seed",     "logprobs", "top_logprobs", "presence_penalty",      "frequency_penalty"};
// Without effect on an answer that is computed here.
const std::vector<std::string> kIgnored = {"user",         "metadata",          "store",
                                           "service_tier", "safety_identifier", "prompt_cache_key"};
const std::vector<std::string> kUnsupported = {"tools",      "tool_choice",      "parallel_tool_calls",
                                               "functions",  "function_call",    "response_format",
                                               "logit_bias", "modalities",       "audio",
                                               "prediction", "reasoning_effort", "web_search_options"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void check_request(const Json& request) {
  const std::vector<std::string> known = {"custom_id", "method", "url", "body"};
  for (const auto& [key, value] : request.items()) {
    if (contains(known, key)) continue;
    const std::string nearest = nearest_name(key, known);
    throw ItemError(ErrorCode::unknown_key,
                    fmt::format("unknown key '{}' in a batch request{}", key.substr(0, 80),
                                nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
  }
  if (!request["custom_id"].is_string())
    throw ItemError(ErrorCode::invalid_value, "key 'custom_id' must be a text");
  if (!request["body"].is_object()) throw ItemError(ErrorCode::invalid_value, "key 'body' must be an object");
  if (request.contains("method") && request["method"] != "POST") {
    throw ItemError(ErrorCode::invalid_value, "key 'method' must be POST");
  }
  if (request.contains("url") && request["url"] != kUrl) {
    throw ItemError(ErrorCode::unsupported, fmt::format("key 'url' must be {}", kUrl));
  }
}

void check_body(const Json& body) {
  for (const auto& [key, value] : body.items()) {
    if (value.is_null() || contains(kSettings, key) || contains(kIgnored, key)) continue;
    if (key == "stream" && value == false) continue;
    if (contains(kUnsupported, key) || key == "stream") {
      throw ItemError(ErrorCode::unsupported, fmt::format("'{}' in the body is not supported", key));
    }
    const std::string nearest = nearest_name(key, kSettings);
    throw ItemError(ErrorCode::unknown_key,
                    fmt::format("unknown key '{}' in the body{}", key.substr(0, 80),
                                nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest)));
  }
  if (!body.contains("messages")) throw ItemError(ErrorCode::invalid_item, "the body has no 'messages'");
}

Json generation_of_body(const Json& body) {
  Json generation = Json::object();
  const auto take = [&](const char* from, const char* to) {
    if (body.contains(from) && !body[from].is_null()) generation[to] = body[from];
  };
  take("max_tokens", "max_new_tokens");
  take("max_completion_tokens", "max_new_tokens");
  take("top_p", "top_p");
  take("n", "num_return_sequences");
  take("stop", "stop_strings");
  take("seed", "seed");
  take("logprobs", "logprobs");
  take("top_logprobs", "top_logprobs");
  take("presence_penalty", "presence_penalty");
  take("frequency_penalty", "frequency_penalty");
  const auto temperature = body.find("temperature");
  if (temperature == body.end() || temperature->is_null()) return generation;
  if (!temperature->is_number() || temperature->get<double>() < 0 || temperature->get<double>() > 2) {
    throw ItemError(ErrorCode::invalid_value, "key 'temperature' must be a number from 0 to 2");
  }
  generation["do_sample"] = temperature->get<double>() > 0;
  if (temperature->get<double>() > 0) {
    generation["temperature"] = *temperature;
    generation["top_k"] = 0;
  }
  return generation;
}

void check_images(const Json& messages, const Job& job) {
  if (!messages.is_array()) return;
  for (const Json& message : messages) {
    if (!message.is_object() || !message.contains("content") || !message["content"].is_array()) continue;
    for (const Json& part : message["content"]) {
      if (!part.is_object() || !part.contains("image_url")) continue;
      const Json& place = part["image_url"];
      const Json& url = place.is_object() && place.contains("url") ? place["url"] : place;
      const std::string text = url.is_string() ? url.get<std::string>() : "";
      const auto begins = [&](std::string_view prefix) {
        return text.compare(0, prefix.size(), prefix) == 0;
      };
      if (begins("data:") || begins("http://") || begins("https://")) continue;
      if (!begins("file://"))
        throw ItemError(ErrorCode::invalid_value, "an image must be a data: or file:// URL");
      if (job.image_root.empty()) {
        throw ItemError(ErrorCode::path_refused,
                        fmt::format("{}: files are read only below --media-root, which is not given", text));
      }
    }
  }
}

}  // namespace

bool is_batch_request(std::string_view json) {
  return json.find("\"custom_id\"") != std::string_view::npos &&
         json.find("\"body\"") != std::string_view::npos;
}

std::string custom_id_of(std::string_view json) {
  const Json request = Json::parse(json);
  const auto found = request.find("custom_id");
  return found != request.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string item_of_batch_request(std::string_view text, const Job& job) {
  const Json request = Json::parse(text);
  check_request(request);
  const Json& body = request["body"];
  check_body(body);
  check_images(body["messages"], job);
  Json item = {{"id", request["custom_id"]}, {"messages", body["messages"]}};
  Json generation = generation_of_body(body);
  if (!generation.empty()) item["generation"] = std::move(generation);
  return item.dump();
}

Manifest batch_manifest(const std::filesystem::path& file, const ManifestOptions& options) {
  Manifest manifest;
  manifest.file = file;
  Job job;
  std::filesystem::path stem = file.filename();
  while (stem.extension() == ".gz" || stem.extension() == ".jsonl" || stem.extension() == ".ndjson") {
    stem = stem.stem();
  }
  manifest.database = file.parent_path() / (stem.string() + ".db");
  job.name = stem.string();
  job.form = PromptForm::turns;
  if (!options.media_root.empty()) job.image_root = std::filesystem::absolute(options.media_root);
  job.source.kind = ItemSource::Kind::jsonl;
  job.source.path = file;
  open_jsonl(file);
  manifest.jobs.push_back(std::move(job));
  return manifest;
}

}  // namespace mmbatch
