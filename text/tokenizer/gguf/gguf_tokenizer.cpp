#include "text/tokenizer/gguf/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "text/tokenizer/gguf/pre_tokenizers.h"
#include "text/tokenizer/gguf/vocabulary_keys.h"
#include "text/tokenizer/json/json_tokenizer.h"
#include "text/tokenizer/models/bpe.h"

namespace mmbatch {
namespace {

using gguf::Metadata;
using gguf::TokenType;
using gguf::VocabularyKeys;
using gguf::VocabularyKind;
using Json = nlohmann::json;

constexpr const char* kSpace = "▁";
const std::string kMerges = "tokenizer.ggml.merges";

TokenVocabulary read_vocabulary(const VocabularyKeys& keys) {
  TokenVocabulary vocabulary;
  vocabulary.reserve(keys.tokens.size());
  for (std::size_t id = 0; id < keys.tokens.size(); ++id)
    vocabulary.add(keys.tokens[id], static_cast<std::uint32_t>(id));
  return vocabulary;
}

/// Each token's place in the order of scores, the highest first; equal scores are one place.
std::vector<std::uint32_t> rank_scores(const Metadata& metadata, const VocabularyKeys& keys) {
  const std::string key = "tokenizer.ggml.scores";
  const std::size_t tokens = keys.tokens.size();
  std::vector<double> scores = metadata.numbers(key);
  if (scores.size() != keys.stored)
    metadata.fail(key, fmt::format("{} scores for {} tokens", scores.size(), keys.stored));
  scores.resize(tokens);
  std::vector<std::uint32_t> order(tokens), ranks(tokens);
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < tokens; ++i) {
    if (i > 0 && scores[order[i]] != scores[order[i - 1]]) ++rank;
    ranks[order[i]] = rank;
  }
  return ranks;
}

/// Any two neighbours whose texts together are a token merge, the highest score first.
std::unique_ptr<const TokenModel> model_by_scores(const Metadata& metadata, const VocabularyKeys& keys) {
  TokenVocabulary vocabulary = read_vocabulary(keys);
  const std::vector<std::uint32_t> ranks = rank_scores(metadata, keys);
  struct Found {
    std::uint32_t left, right;
    Merge merge;
  };
  std::vector<Found> found;
  for (std::size_t id = 0; id < keys.tokens.size(); ++id) {
    const std::string_view token = keys.tokens[id];
    if (vocabulary.find(token) != static_cast<std::uint32_t>(id)) continue;
    for (std::size_t at = 1; at < token.size(); ++at) {
      if ((static_cast<unsigned char>(token[at]) & 0xc0) == 0x80) continue;  // inside a character
      const auto left = vocabulary.find(token.substr(0, at));
      if (!left) continue;
      const auto right = vocabulary.find(token.substr(at));
      if (right) found.push_back({*left, *right, {ranks[id], static_cast<std::uint32_t>(id)}});
    }
  }
  MergeTable merges(found.size());
  for (const Found& one : found) merges.set(one.left, one.right, one.merge);
  BpeOptions options;
  options.byte_fallback = true;
  options.unk_token = keys.unk ? std::string(keys.tokens[*keys.unk]) : "";
  options.fuse_unk = false;
  return std::make_unique<BpeModel>(std::move(vocabulary), std::move(merges), std::move(options));
}

/// Merges in the file's order, as a tokenizer.json has them.
Json model_by_merges(const Metadata& metadata, const VocabularyKeys& keys) {
  Json vocabulary = Json::object(), merges = Json::array();
  for (std::size_t id = 0; id < keys.tokens.size(); ++id) vocabulary[std::string(keys.tokens[id])] = id;
  for (const std::string_view merge : metadata.texts(kMerges)) {
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos)
      metadata.fail(kMerges, "has a merge that is not two tokens with a space between");
    merges.push_back({std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))});
  }
  return {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}};
}

Json split(const std::string& expression) {
  return {
      {"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json post_processor(const VocabularyKeys& keys) {
  Json single = Json::array(), specials = Json::object();
  const auto add = [&](std::size_t id) {
    const std::string token(keys.tokens[id]);
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    specials[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  if (keys.add_bos && keys.bos) add(*keys.bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (keys.add_eos && keys.eos) add(*keys.eos);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", single}, {"special_tokens", specials}};
}

/// Whether a text shows a token where a published tokenizer and the type in the file differ: converters take
/// many tokens for control ones by their looks, and mark some for llama.cpp's own use.
bool is_shown(const VocabularyKeys& keys, std::string_view token, bool by_type) {
  static constexpr std::array kParts = {"<|start|>", "<|message|>", "<|channel|>", "<|constrain|>"};
  static constexpr std::array kCalls = {"<|channel>",   "<channel|>",       "<|tool_call>",
                                        "<tool_call|>", "<|tool_response>", "<tool_response|>",
                                        "<|\"|>"};
  const auto is_one_of = [&](const auto& names) {
    return std::find(names.begin(), names.end(), token) != names.end();
  };
  if (is_one_of(kParts) || token.starts_with("<|extra_id_")) return true;
  if (keys.kind == VocabularyKind::piece_merges) return by_type && !is_one_of(kCalls);
  if (keys.kind == VocabularyKind::scores) return by_type || token.starts_with("<unused");
  const gguf::PreTokenizer* pre = gguf::find_pre_tokenizer(keys.pre);
  return by_type || (pre != nullptr && is_one_of(pre->shown));
}

/// Whether a token is nothing but line ends, or nothing but spaces as they are spelled, several of them.
bool is_run(std::string_view token) {
  if (!token.empty() && token.find_first_not_of('\n') == std::string_view::npos) return true;
  const std::string_view space = kSpace;
  std::size_t count = 0;
  for (; token.starts_with(space); ++count) token.remove_prefix(space.size());
  return token.empty() && count > 1;
}

/// Tokens that a published tokenizer of merged pieces finds in the text before everything else, whatever
/// their type: those of several characters that no merge makes, and runs of line ends and spaces.
std::unordered_set<std::size_t> tokens_found_first(const Metadata& metadata, const VocabularyKeys& keys) {
  std::unordered_set<std::string> made;
  for (const std::string_view merge : metadata.texts(kMerges)) {
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) continue;
    made.insert(std::string(merge.substr(0, space)) + std::string(merge.substr(space + 1)));
  }
  std::unordered_set<std::size_t> found;
  for (std::size_t id = 0; id < keys.tokens.size(); ++id) {
    const std::string_view token = keys.tokens[id];
    const auto begins = std::count_if(token.begin(), token.end(),
                                      [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    const bool unmakeable = begins > 1 && made.count(std::string(token)) == 0;
    if (keys.types[id] == TokenType::normal && (unmakeable || is_run(token))) found.insert(id);
  }
  return found;
}

/// Control and user-defined tokens are found in the text before everything else.
Json added_tokens(const VocabularyKeys& keys, const std::unordered_set<std::size_t>& more = {}) {
  Json added = Json::array();
  for (std::size_t id = 0; id < keys.tokens.size(); ++id) {
    const bool control = keys.types[id] == TokenType::control || keys.types[id] == TokenType::unknown;
    const bool found = control || keys.types[id] == TokenType::user_defined || more.count(id) > 0;
    if (!found || keys.tokens[id].empty()) continue;
    added.push_back({{"id", id},
                     {"content", std::string(keys.tokens[id])},
                     {"special", !is_shown(keys, keys.tokens[id], !control)},
                     {"normalized", false},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false}});
  }
  return added;
}

/// What stands for an image in a text is found there, whatever type it has; a vocabulary that lacks it gets
/// one behind its end.
void add_image_token(const VocabularyKeys& keys, const std::string& token, Json& added) {
  const bool there = std::any_of(added.begin(), added.end(),
                                 [&](const Json& one) { return one["content"].get<std::string>() == token; });
  if (token.empty() || there) return;
  added.push_back({{"id", gguf::token_id(keys, token)},
                   {"content", token},
                   {"special", true},
                   {"normalized", false},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", false}});
}

SpecialTokenFiles roles(const VocabularyKeys& keys) {
  SpecialTokenFiles files;
  const auto add = [&](const char* role, std::optional<std::size_t> id) {
    if (id) files.roles[role] = keys.tokens[*id];
  };
  add("bos_token", keys.bos);
  add("eos_token", keys.eos);
  add("unk_token", keys.unk);
  add("pad_token", keys.pad);
  return files;
}

Json replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

Json sentencepiece_json(const VocabularyKeys& keys, const Json& bytes) {
  Json steps = Json::array();
  if (keys.add_space_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  steps.push_back(replace(" ", kSpace));
  const Json decoders = {replace(kSpace, " "), bytes, {{"type", "Fuse"}}};
  return {{"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}},
          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}}};
}

/// Spaces and what bytes are spelled by as sentencepiece has them, and merges in their order.
Json piece_json(const Metadata& metadata, const VocabularyKeys& keys) {
  Json json = sentencepiece_json(keys, {{"type", "ByteFallback"}});
  json["added_tokens"] = added_tokens(keys, tokens_found_first(metadata, keys));
  json["model"] = model_by_merges(metadata, keys);
  json["model"]["byte_fallback"] = true;
  json["model"]["fuse_unk"] = true;
  if (keys.unk) json["model"]["unk_token"] = std::string(keys.tokens[*keys.unk]);
  return json;
}

Json byte_level_json(const gguf::PreTokenizer& pre) {
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  Json steps = Json::array();
  for (const std::string& expression : pre.expressions) steps.push_back(split(expression));
  steps.push_back(byte_level);
  return {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}, {"decoder", byte_level}};
}

/// Texts in files from outside need not be UTF-8.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::shared_ptr<const Tokenizer> load_gguf_tokenizer(const CheckpointFiles& files) {
  const Metadata& metadata = *files.gguf();
  const VocabularyKeys keys(metadata);
  const std::string image_token = files.json_file("tokenizer_config.json").text("image_token", "");
  const std::string source = metadata.source();
  if (keys.kind == VocabularyKind::scores) {
    Json json = sentencepiece_json(keys, {{"type", "ByteFallback"}, {"errors", "replace"}});
    json["added_tokens"] = added_tokens(keys);
    add_image_token(keys, image_token, json["added_tokens"]);
    json["post_processor"] = post_processor(keys);
    return std::make_shared<const JsonTokenizer>(model_by_scores(metadata, keys), dump(json), source,
                                                 roles(keys));
  }
  if (keys.kind == VocabularyKind::piece_merges) {
    Json json = piece_json(metadata, keys);
    add_image_token(keys, image_token, json["added_tokens"]);
    json["post_processor"] = post_processor(keys);
    return std::make_shared<const JsonTokenizer>(dump(json), source, roles(keys));
  }
  if (keys.kind == VocabularyKind::unknown) {
    const std::string key = "tokenizer.ggml.model";
    metadata.fail(key, fmt::format("'{}' is not supported; supported are {}",
                                   metadata.text(key, "").substr(0, 80), gguf::vocabulary_kind_names()));
  }
  const gguf::PreTokenizer* pre = gguf::find_pre_tokenizer(keys.pre);
  if (pre == nullptr) {
    metadata.fail("tokenizer.ggml.pre", fmt::format("'{}' is not supported; supported are {}",
                                                    keys.pre.substr(0, 80), gguf::pre_tokenizer_names()));
  }
  Json json = byte_level_json(*pre);
  json["added_tokens"] = added_tokens(keys);
  add_image_token(keys, image_token, json["added_tokens"]);
  json["post_processor"] = post_processor(keys);
  json["model"] = model_by_merges(metadata, keys);
  json["model"]["ignore_merges"] = pre->ignore_merges;
  return std::make_shared<const JsonTokenizer>(dump(json), source, roles(keys));
}

}  // namespace mmbatch
