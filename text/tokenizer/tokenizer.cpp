#include "text/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "text/encoder/canonical.h"
#include "text/tokenizer/sentencepiece_model.h"
#include "text/tokenizer/token_splitter.h"
#include "text/tokenizer/tokenizer_files.h"

namespace mmbatch {
namespace {

SentencePieceModel load_model(const std::filesystem::path& file, const Config& config) {
  const MappedFile mapped(file);
  const std::string_view bytes(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  // Without `legacy` only the first segment gets the space, so it is put there by hand.
  const auto prefix = config.flag("legacy", true) ? DummyPrefix::as_stored : DummyPrefix::off;
  return SentencePieceModel(bytes, file.string(), prefix);
}

TokenTable make_table(const SentencePieceModel& model, const TokenizerFiles& files) {
  TokenTable table;
  table.model = &model;
  table.pieces.reserve(model.pieces().size());
  for (const Piece& piece : model.pieces()) {
    Token token;
    token.text = piece.text;
    token.kind = piece.kind;
    token.byte = piece.byte;
    token.piece = true;
    table.pieces.push_back(std::move(token));
  }
  std::unordered_set<std::int32_t> roles;  // ids that the files name as bos, eos, …
  std::unordered_set<std::int32_t> additional;
  for (const NamedToken& named : files.named) {
    (named.role == kAdditionalTokens ? additional : roles).insert(named.id);
  }
  for (const AddedToken& added : files.added) {
    const bool in_vocabulary = static_cast<std::size_t>(added.id) < table.pieces.size();
    Token& token = in_vocabulary ? table.pieces[static_cast<std::size_t>(added.id)] : table.added[added.id];
    token.text = added.content;
    token.added = true;
    token.special = added.special;
    token.standalone = additional.contains(added.id) ? !in_vocabulary : !roles.contains(added.id);
  }
  const TokenizerSettings& settings = files.settings;
  table.rules = {.verbatim = settings.verbatim,
                 .add_prefix_space = settings.add_prefix_space,
                 .legacy = settings.legacy,
                 .spaces_between = settings.spaces_between,
                 .strips_first_space = model.dummy_prefix(),
                 .strips_leading_spaces = model.removes_extra_spaces(),
                 .unk_surface = model.unk_surface()};
  return table;
}

}  // namespace

struct Tokenizer::Data {
  Data(SentencePieceModel model_, const TokenizerFiles& files)
      : model(std::move(model_)),
        settings(files.settings),
        splitter(files.added),
        table(make_table(model, files)) {
    for (const NamedToken& named : files.named) {
      if (named.role == "bos_token") bos = named.id;
      if (named.role == "eos_token") eos = named.id;
      if (named.role == "pad_token") pad = named.id;
      if (named.role == "unk_token") unk = named.id;
    }
    const Token* unknown = table.find(unk.value_or(model.unk()));
    anchor = unknown == nullptr ? std::string("<unk>") : unknown->text;
    std::vector<std::int32_t> ids;
    model.encode(anchor, ids);
    anchor_tokens = ids.size();
  }

  SentencePieceModel model;
  TokenizerSettings settings;
  TokenSplitter splitter;
  TokenTable table;
  std::optional<std::int32_t> bos, eos, pad, unk;
  std::string
      anchor;  // text of the unknown token: what stands before a text whose leading space must be kept
  std::size_t anchor_tokens = 0;
};

Tokenizer Tokenizer::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path file = find_sentencepiece_file(model_dir);
  const Config config = Config::read_if_present(model_dir / "tokenizer_config.json");
  SentencePieceModel model = load_model(file, config);
  const TokenizerFiles files = read_tokenizer_files(model_dir, config, model);
  auto data = std::make_shared<const Data>(std::move(model), files);
  if (data->settings.add_bos && !data->bos)
    config.fail("add_bos_token", "true, but no key names a bos_token");
  if (data->settings.end == EndRule::always && !data->eos) {
    config.fail("add_eos_token", "true, but no key names an eos_token");
  }
  return Tokenizer(std::move(data));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, Bos bos) const {
  std::vector<std::int32_t> ids;
  const TokenizerSettings& settings = data_->settings;
  if (bos == Bos::as_configured && settings.add_bos) ids.push_back(*data_->bos);
  encode_text(text, Place::first, ids);
  if (bos == Bos::none || settings.end == EndRule::never || !data_->eos) return ids;
  const bool there = !ids.empty() && ids.back() == *data_->eos;
  if (settings.end == EndRule::always || !there) ids.push_back(*data_->eos);
  return ids;
}

std::vector<std::int32_t> Tokenizer::encode_continuation(std::string_view text) const {
  std::vector<std::int32_t> ids;
  encode_text(text, Place::inside, ids);
  return ids;
}

void Tokenizer::encode_text(std::string_view text, Place place, std::vector<std::int32_t>& ids) const {
  const std::size_t limit = data_->model.byte_fallback() ? kMaxTextBytes : kMaxTextBytesWithoutBytePieces;
  if (text.size() > limit) {
    throw ItemError(ErrorCode::prompt_too_long,
                    fmt::format("a text of {} bytes; this tokenizer takes at most {}", text.size(), limit));
  }
  if (text.empty()) return;
  const TokenizerSettings& settings = data_->settings;
  std::string clean = is_utf8(text) ? std::string(text) : replace_invalid_utf8(text);
  const bool by_hand = !settings.legacy && !settings.verbatim;
  if (by_hand) {
    clean = replace_all(clean, kSpaceSymbol, " ");
    if (settings.add_prefix_space && place == Place::first) clean.insert(0, kSpaceSymbol);
  }
  const std::vector<TextPart> parts = data_->splitter.split(clean);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].token != nullptr) {
      ids.push_back(parts[i].token->id);
      continue;
    }
    // A space alone at the beginning, such as the one put there by hand, is no token before a special token.
    const bool lone_space = i == 0 && (parts[i].text == kSpaceSymbol || parts[i].text == " ");
    const AddedToken* next = i + 1 < parts.size() ? parts[i + 1].token : nullptr;
    if (by_hand && lone_space && next != nullptr && is_special(next->id)) continue;
    encode_segment(parts[i].text, i == 0 ? place : Place::first, ids);
  }
}

void Tokenizer::encode_segment(std::string_view text, Place place, std::vector<std::int32_t>& ids) const {
  const TokenizerSettings& settings = data_->settings;
  const std::string lower = settings.lower_case ? to_lower(text) : std::string();
  if (settings.lower_case) text = lower;
  const bool spaced = text.starts_with(kSpaceSymbol) || text.starts_with(' ');
  if (settings.legacy || settings.verbatim) {
    if (place == Place::inside && data_->model.dummy_prefix()) {
      encode_after_anchor(text, ids);
    } else {
      data_->model.encode(text, ids);
    }
  } else if (spaced) {
    encode_after_anchor(text, ids);
  } else {
    data_->model.encode(text, ids);
  }
}

/// sentencepiece may drop a leading space, or put one there; behind other text it does neither.
void Tokenizer::encode_after_anchor(std::string_view text, std::vector<std::int32_t>& ids) const {
  std::vector<std::int32_t> all;
  data_->model.encode(data_->anchor + std::string(text), all);
  const std::size_t skipped = all.size() >= data_->anchor_tokens ? data_->anchor_tokens : 0;
  ids.insert(ids.end(), all.begin() + static_cast<std::ptrdiff_t>(skipped), all.end());
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, Special special) const {
  TokenJoiner joiner(data_->table, special);
  std::string out;
  for (const std::int32_t id : ids) joiner.push(id, out);
  joiner.finish(out);
  return out;
}

std::optional<std::int32_t> Tokenizer::token_id(std::string_view piece) const {
  if (const AddedToken* token = data_->splitter.find(piece)) return token->id;
  return data_->model.find(piece);
}

std::string_view Tokenizer::piece(std::int32_t id) const {
  const Token* token = data_->table.find(id);
  return token == nullptr ? std::string_view() : std::string_view(token->text);
}

bool Tokenizer::is_special(std::int32_t id) const {
  const Token* token = data_->table.find(id);
  return token != nullptr && token->special;
}

std::int32_t Tokenizer::vocab_size() const {
  auto size = static_cast<std::int32_t>(data_->table.pieces.size());
  for (const auto& [id, token] : data_->table.added) size = std::max(size, id + 1);
  return size;
}

std::optional<std::int32_t> Tokenizer::bos() const {
  return data_->bos;
}
std::optional<std::int32_t> Tokenizer::eos() const {
  return data_->eos;
}
std::optional<std::int32_t> Tokenizer::pad() const {
  return data_->pad;
}
std::optional<std::int32_t> Tokenizer::unk() const {
  return data_->unk;
}
const TokenTable& Tokenizer::table() const {
  return data_->table;
}

}  // namespace mmbatch
