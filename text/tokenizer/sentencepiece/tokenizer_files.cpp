#include "text/tokenizer/sentencepiece/tokenizer_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/base/text/lower_case.h"

namespace mmbatch {
namespace {

constexpr std::int32_t kMaxId = (1 << 24) - 1;
// In the order in which transformers adds those that the vocabulary does not have.
constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

/// A special token as the files write it: its content, or an object with content and flags.
AddedToken read_token(const Config& holder, const Config& value, const std::string& key) {
  AddedToken token;
  token.special = true;
  token.normalized = false;
  if (value.is_text()) {
    token.content = value.as_text();
  } else if (value.is_object()) {
    token.content = value.text("content", "");
    token.lstrip = value.flag("lstrip", false);
    token.rstrip = value.flag("rstrip", false);
    token.single_word = value.flag("single_word", false);
    token.normalized = value.flag("normalized", false);
  } else {
    holder.fail(key, "expected a string or an object with 'content'");
  }
  if (token.content.empty() || token.content.size() > TokenSplitter::kMaxContentBytes) {
    holder.fail(key, fmt::format("expected a content of 1 to {} bytes", TokenSplitter::kMaxContentBytes));
  }
  return token;
}

/// Collects the added tokens of one folder and refuses what contradicts itself.
class Collector {
 public:
  explicit Collector(const SentencePieceModel& model)
      : model_(model), next_id_(static_cast<std::int32_t>(model.pieces().size())) {}

  /// @param holder, key  where the token is, for errors.
  void add(AddedToken token, const Config& holder, const std::string& key) {
    if (token.id < 0 || token.id > kMaxId) {
      holder.fail(key, fmt::format("expected a token id from 0 to {}", kMaxId));
    }
    const auto [by_id, new_id] = ids_.emplace(token.id, tokens_.size());
    const auto [by_content, new_content] = contents_.emplace(token.content, tokens_.size());
    if (!new_id || !new_content) {
      const AddedToken& other = tokens_[new_id ? by_content->second : by_id->second];
      if (other.id == token.id && other.content == token.content) return;
      holder.fail(key, fmt::format("token '{}' with id {} contradicts token '{}' with id {}", token.content,
                                   token.id, other.content, other.id));
    }
    check_against_vocabulary(token, holder, key);
    next_id_ = std::max(next_id_, token.id + 1);
    tokens_.push_back(std::move(token));
  }

  /// The id of a special token: among the added ones, in the vocabulary, or a new one behind all.
  std::int32_t place(AddedToken token, const Config& holder, const std::string& key) {
    const auto found = contents_.find(token.content);
    if (found != contents_.end()) {
      tokens_[found->second].special = true;
      return tokens_[found->second].id;
    }
    token.id = model_.find(token.content).value_or(next_id_);
    const std::int32_t id = token.id;
    add(std::move(token), holder, key);
    return id;
  }

  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  /// Control, user-defined and unused pieces may be renamed; text and bytes may not.
  void check_against_vocabulary(const AddedToken& token, const Config& holder, const std::string& key) const {
    const auto known = model_.find(token.content);
    if (known && *known != token.id) {
      holder.fail(key, fmt::format("token '{}' has id {}, but the vocabulary has it at {}", token.content,
                                   token.id, *known));
    }
    if (static_cast<std::size_t>(token.id) >= model_.pieces().size()) return;
    const SentencePiece& piece = model_.pieces()[static_cast<std::size_t>(token.id)];
    const bool fixed =
        piece.kind == PieceKind::normal || piece.kind == PieceKind::byte || piece.kind == PieceKind::unknown;
    if (fixed && piece.text != token.content) {
      holder.fail(key, fmt::format("token '{}' has id {}, where the vocabulary has '{}'", token.content,
                                   token.id, piece.text));
    }
  }

  const SentencePieceModel& model_;
  std::int32_t next_id_;  // behind all others
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::int32_t, std::size_t> ids_;
  std::unordered_map<std::string, std::size_t> contents_;
};

void read_decoder(const Config& config, Collector& collector) {
  const Config decoder = config.child("added_tokens_decoder");
  if (!decoder.is_object()) config.fail("added_tokens_decoder", "expected an object");
  for (const auto& [key, value] : decoder.members()) {
    if (!value.is_object()) decoder.fail(key, "expected an object with 'content'");
    AddedToken token = read_token(decoder, value, key);
    token.special = value.flag("special", false);
    const char* end = key.data() + key.size();
    const auto read = std::from_chars(key.data(), end, token.id);
    if (read.ec != std::errc() || read.ptr != end) token.id = -1;
    collector.add(std::move(token), decoder, key);
  }
}

/// added_tokens.json: content → id. What the files name as special is marked when it is placed.
void read_added(const Config& added, Collector& collector) {
  for (const auto& [content, value] : added.members()) {
    AddedToken token;
    token.content = content;
    token.id = static_cast<std::int32_t>(added.integer(content, -1, {0, kMaxId}));
    if (content.empty() || content.size() > TokenSplitter::kMaxContentBytes) {
      added.fail(content,
                 fmt::format("expected a content of 1 to {} bytes", TokenSplitter::kMaxContentBytes));
    }
    collector.add(std::move(token), added, content);
  }
}

void read_list(const Config& source, const char* key, Collector& collector, std::vector<NamedToken>& named) {
  if (!source.has(key)) return;
  for (const Config& value : source.list(key)) {
    named.push_back({kAdditionalTokens, collector.place(read_token(source, value, key), source, key)});
  }
}

void read_roles(const Config& source, Collector& collector, std::vector<NamedToken>& named) {
  for (const char* role : kRoles) {
    const bool known =
        std::any_of(named.begin(), named.end(), [&](const NamedToken& token) { return token.role == role; });
    if (known || !source.has(role)) continue;
    named.push_back({role, collector.place(read_token(source, source.child(role), role), source, role)});
  }
  read_list(source, kAdditionalTokens, collector, named);
  for (const auto& [name, value] : source.child("extra_special_tokens").members()) {
    named.push_back({kAdditionalTokens, collector.place(read_token(source, value, name), source, name)});
  }
}

/// Roles that no file names: what the vocabulary itself says.
void name_from_vocabulary(const SentencePieceModel& model, const Config& config, Collector& collector,
                          std::vector<NamedToken>& named) {
  const std::map<std::string, std::optional<std::int32_t>> own = {
      {"bos_token", model.bos()}, {"eos_token", model.eos()}, {"unk_token", model.unk()}};
  for (const auto& [role, id] : own) {
    const bool known = std::any_of(named.begin(), named.end(), [&, &wanted = role](const NamedToken& token) {
      return token.role == wanted;
    });
    if (known || !id) continue;
    AddedToken token;
    token.id = *id;
    token.content = model.pieces()[static_cast<std::size_t>(*id)].text;
    token.special = true;
    named.push_back({role, collector.place(std::move(token), config, role)});
  }
}

TokenizerSettings read_settings(const Config& config, const SentencePieceModel& model) {
  TokenizerSettings settings;
  settings.verbatim =
      !model.stored_dummy_prefix() && !config.has("legacy") && !config.has("add_prefix_space");
  settings.legacy = config.flag("legacy", true);
  settings.add_prefix_space = config.flag("add_prefix_space", true);
  // A vocabulary without a BOS piece belongs to a text encoder: those end every text with EOS instead.
  settings.add_bos = config.flag("add_bos_token", model.bos().has_value());
  const EndRule otherwise = model.bos() ? EndRule::never : EndRule::unless_there;
  settings.end = !config.has("add_eos_token")          ? otherwise
                 : config.flag("add_eos_token", false) ? EndRule::always
                                                       : EndRule::never;
  settings.lower_case = config.flag("do_lower_case", false);
  settings.spaces_between = config.flag("spaces_between_special_tokens", !settings.verbatim);
  return settings;
}

}  // namespace

TokenizerFiles read_tokenizer_files(const CheckpointFiles& checkpoint, const Config& config,
                                    const SentencePieceModel& model) {
  TokenizerFiles files;
  files.settings = read_settings(config, model);
  Collector collector(model);
  // Read in any case: what is no JSON is told, too, where it does not count.
  const Config roles = checkpoint.json_file("special_tokens_map.json");
  const Config added = checkpoint.json_file("added_tokens.json");
  if (config.has("added_tokens_decoder")) {
    read_decoder(config, collector);
    read_roles(config, collector, files.named);
  } else {
    read_added(added, collector);
    read_roles(roles, collector, files.named);
    read_roles(config, collector, files.named);
  }
  name_from_vocabulary(model, config, collector, files.named);
  files.added = collector.take();
  if (files.settings.lower_case) {
    for (AddedToken& token : files.added) {
      if (!token.special && token.normalized) token.content = to_lower(token.content);
    }
  }
  return files;
}

}  // namespace mmbatch
