#include "text/tokenizer/json/special_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mmbatch {
namespace {

constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};
constexpr std::size_t kMaxTokens = 1 << 17;

/// A token given as its content alone, or as an object with flags.
JsonAddedToken read_named(const Config& holder, const Config& value, const std::string& key) {
  if (value.is_object()) return read_added_token(value);
  if (!value.is_text()) holder.fail(key, "expected a token: its content, or an object that has it");
  JsonAddedToken token;
  token.content = value.as_text();
  token.normalized = false;
  token.special = true;
  return token;
}

void add_named(JsonAddedToken token, SpecialTokenFiles& files) {
  token.special = true;
  files.named.push_back(std::move(token));
}

void read_roles(const Config& source, SpecialTokenFiles& files) {
  for (const char* role : kRoles) {
    if (!source.has(role) || files.roles.contains(role)) continue;
    JsonAddedToken token = read_named(source, source.child(role), role);
    files.roles[role] = token.content;
    add_named(std::move(token), files);
  }
  if (source.has("additional_special_tokens")) {
    for (const Config& value : source.list("additional_special_tokens")) {
      add_named(read_named(source, value, "additional_special_tokens"), files);
    }
  }
  if (!source.has("extra_special_tokens")) return;
  const Config extra = source.child("extra_special_tokens");
  for (const auto& [name, value] : extra.members()) add_named(read_named(extra, value, name), files);
  for (const Config& value : extra.elements())
    add_named(read_named(source, value, "extra_special_tokens"), files);
}

void read_decoder(const Config& config, SpecialTokenFiles& files) {
  const Config decoder = config.object("added_tokens_decoder");
  std::vector<std::pair<std::int64_t, JsonAddedToken>> tokens;
  for (const auto& [key, value] : decoder.members()) {
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) decoder.fail(key, "expected an id");
    if (!value.is_object()) decoder.fail(key, "expected an object with 'content'");
    tokens.emplace_back(id, read_added_token(value));
    if (tokens.size() > kMaxTokens) decoder.fail(key, fmt::format("more than {} tokens", kMaxTokens));
  }
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [id, token] : tokens) files.decoder.push_back(std::move(token));
}

/// content → id: the order of the ids.
void read_added(const Config& added, SpecialTokenFiles& files) {
  std::vector<std::pair<std::int64_t, std::string>> tokens;
  for (const auto& [content, id] : added.members()) {
    if (!id.is_integer()) added.fail(content, "expected an id");
    tokens.emplace_back(id.as_integer(), content);
  }
  std::stable_sort(tokens.begin(), tokens.end());
  for (auto& [id, content] : tokens) {
    JsonAddedToken token;
    token.content = std::move(content);
    files.decoder.push_back(std::move(token));
  }
}

}  // namespace

JsonAddedToken read_added_token(const Config& token) {
  JsonAddedToken out;
  out.content = token.text("content", "");
  out.single_word = token.flag("single_word", false);
  out.lstrip = token.flag("lstrip", false);
  out.rstrip = token.flag("rstrip", false);
  out.special = token.flag("special", false);
  out.normalized = token.flag("normalized", !out.special);
  if (out.content.size() > AddedTokens::kMaxContentBytes) {
    token.fail("content", fmt::format("longer than {} bytes", AddedTokens::kMaxContentBytes));
  }
  return out;
}

SpecialTokenFiles read_special_tokens(const CheckpointFiles& checkpoint) {
  SpecialTokenFiles files;
  const Config config = checkpoint.json_file("tokenizer_config.json");
  files.prefix_at_beginning_only = !config.flag("legacy", true) && config.flag("add_prefix_space", false);
  files.rules = rules_of_class(config, checkpoint.json_file("config.json"));
  // Read in any case: what is no JSON is told, too, where it does not count.
  const Config roles = checkpoint.json_file("special_tokens_map.json");
  const Config added = checkpoint.json_file("added_tokens.json");
  if (config.has("added_tokens_decoder")) {
    read_decoder(config, files);
    read_roles(config, files);
  } else {
    read_roles(config, files);
    read_roles(roles, files);
    read_added(added, files);
  }
  return files;
}

}  // namespace mmbatch
