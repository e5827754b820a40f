#include "text/tokenizer/sentencepiece/sentencepiece_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "engine/base/text/lower_case.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/sentencepiece/sentencepiece_model.h"
#include "text/tokenizer/sentencepiece/token_joiner.h"
#include "text/tokenizer/sentencepiece/token_splitter.h"
#include "text/tokenizer/sentencepiece/tokenizer_files.h"

namespace mmbatch {
namespace {

SentencePieceModel load_model(const CheckpointFiles& checkpoint, const std::string& name,
                              const Config& config) {
  const std::optional<std::string> bytes = checkpoint.read_file(name, SentencePieceModel::kMaxFileBytes);
  if (!bytes || bytes->empty()) throw ModelError(checkpoint.source_of(name) + ": missing or empty");
  // Without `legacy` only the first segment gets the space, so it is put there by hand.
  const auto prefix = config.flag("legacy", true) ? DummyPrefix::as_stored : DummyPrefix::off;
  return SentencePieceModel(*bytes, checkpoint.source_of(name), prefix);
}

TokenTable make_table(const SentencePieceModel& model, const TokenizerFiles& files) {
  TokenTable table;
  table.model = &model;
  table.pieces.reserve(model.pieces().size());
  for (const SentencePiece& piece : model.pieces()) {
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

/// Without byte pieces the library takes time quadratic in a stretch of unknown characters.
constexpr std::size_t kMaxTextBytesWithoutBytePieces = 64u << 10;

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(SentencePieceModel model, const TokenizerFiles& files, const Config& config);

  std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special) const override;
  std::vector<std::int32_t> encode_continuation(std::string_view text) const override;
  std::unique_ptr<TokenStream> stream(SpecialTokens special) const override {
    return std::make_unique<TokenJoiner>(table_, special);
  }

  std::optional<std::int32_t> token_id(std::string_view piece) const override;
  std::string_view piece(std::int32_t id) const override;
  bool is_special(std::int32_t id) const override;
  bool in_vocabulary(std::int32_t id) const override;
  std::optional<std::string> bytes_inside_text(std::int32_t id) const override;
  std::int32_t vocab_size() const override;

  std::optional<std::int32_t> bos() const override { return bos_; }
  std::optional<std::int32_t> eos() const override { return eos_; }
  std::optional<std::int32_t> pad() const override { return pad_; }
  std::optional<std::int32_t> unk() const override { return unk_; }

 private:
  enum class Place { first, inside };  // of a text: where nothing, or other text, comes before it

  void encode_text(std::string_view text, Place place, std::vector<std::int32_t>& ids) const;
  void encode_after_anchor(std::string_view text, std::vector<std::int32_t>& ids) const;
  void encode_segment(std::string_view text, Place place, std::vector<std::int32_t>& ids) const;

  SentencePieceModel model_;
  TokenizerSettings settings_;
  TokenSplitter splitter_;
  TokenTable table_;
  std::optional<std::int32_t> bos_, eos_, pad_, unk_;
  // The unknown token's text: what comes before a text whose leading space must be kept.
  std::string anchor_;
  std::size_t anchor_tokens_ = 0;
};

SentencePieceTokenizer::SentencePieceTokenizer(SentencePieceModel model, const TokenizerFiles& files,
                                               const Config& config)
    : model_(std::move(model)),
      settings_(files.settings),
      splitter_(files.added),
      table_(make_table(model_, files)) {
  for (const NamedToken& named : files.named) {
    if (named.role == "bos_token") bos_ = named.id;
    if (named.role == "eos_token") eos_ = named.id;
    if (named.role == "pad_token") pad_ = named.id;
    if (named.role == "unk_token") unk_ = named.id;
  }
  if (settings_.add_bos && !bos_) config.fail("add_bos_token", "true, but no key names a bos_token");
  if (settings_.end == EndRule::always && !eos_) {
    config.fail("add_eos_token", "true, but no key names an eos_token");
  }
  const Token* unknown = table_.find(unk_.value_or(model_.unk()));
  anchor_ = unknown == nullptr ? std::string("<unk>") : unknown->text;
  std::vector<std::int32_t> ids;
  model_.encode(anchor_, ids);
  anchor_tokens_ = ids.size();
}

std::vector<std::int32_t> SentencePieceTokenizer::encode(std::string_view text, SpecialTokens special) const {
  std::vector<std::int32_t> ids;
  if (special == SpecialTokens::with && settings_.add_bos) ids.push_back(*bos_);
  encode_text(text, Place::first, ids);
  if (special == SpecialTokens::without || settings_.end == EndRule::never || !eos_) return ids;
  const bool there = !ids.empty() && ids.back() == *eos_;
  if (settings_.end == EndRule::always || !there) ids.push_back(*eos_);
  return ids;
}

std::vector<std::int32_t> SentencePieceTokenizer::encode_continuation(std::string_view text) const {
  std::vector<std::int32_t> ids;
  encode_text(text, Place::inside, ids);
  return ids;
}

void SentencePieceTokenizer::encode_text(std::string_view text, Place place,
                                         std::vector<std::int32_t>& ids) const {
  const std::size_t limit = model_.byte_fallback() ? kMaxTextBytes : kMaxTextBytesWithoutBytePieces;
  if (text.size() > limit) {
    throw ItemError(ErrorCode::prompt_too_long,
                    fmt::format("a text of {} bytes; this tokenizer takes at most {}", text.size(), limit));
  }
  if (text.empty()) return;
  std::string clean = is_utf8(text) ? std::string(text) : replace_invalid_utf8(text);
  const bool by_hand = !settings_.legacy && !settings_.verbatim;
  if (by_hand) {
    clean = replace_all(clean, kSpaceSymbol, " ");
    if (settings_.add_prefix_space && place == Place::first) clean.insert(0, kSpaceSymbol);
  }
  const std::vector<TextPart> parts = splitter_.split(clean);
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

void SentencePieceTokenizer::encode_segment(std::string_view text, Place place,
                                            std::vector<std::int32_t>& ids) const {
  const std::string lower = settings_.lower_case ? to_lower(text) : std::string();
  if (settings_.lower_case) text = lower;
  const bool spaced = text.starts_with(kSpaceSymbol) || text.starts_with(' ');
  if (settings_.legacy || settings_.verbatim) {
    if (place == Place::inside && model_.dummy_prefix()) {
      encode_after_anchor(text, ids);
    } else {
      model_.encode(text, ids);
    }
  } else if (spaced) {
    encode_after_anchor(text, ids);
  } else {
    model_.encode(text, ids);
  }
}

/// sentencepiece may drop a leading space, or put one there; behind other text it does neither.
void SentencePieceTokenizer::encode_after_anchor(std::string_view text,
                                                 std::vector<std::int32_t>& ids) const {
  std::vector<std::int32_t> all;
  model_.encode(anchor_ + std::string(text), all);
  const std::size_t skipped = all.size() >= anchor_tokens_ ? anchor_tokens_ : 0;
  ids.insert(ids.end(), all.begin() + static_cast<std::ptrdiff_t>(skipped), all.end());
}

std::optional<std::int32_t> SentencePieceTokenizer::token_id(std::string_view piece) const {
  if (const AddedToken* token = splitter_.find(piece)) return token->id;
  return model_.find(piece);
}

std::string_view SentencePieceTokenizer::piece(std::int32_t id) const {
  const Token* token = table_.find(id);
  return token == nullptr ? std::string_view() : std::string_view(token->text);
}

bool SentencePieceTokenizer::is_special(std::int32_t id) const {
  const Token* token = table_.find(id);
  return token != nullptr && token->special;
}

bool SentencePieceTokenizer::in_vocabulary(std::int32_t id) const {
  const Token* token = table_.find(id);
  return token != nullptr && token->piece;
}

std::optional<std::string> SentencePieceTokenizer::bytes_inside_text(std::int32_t id) const {
  const Token* token = table_.find(id);
  if (token == nullptr || token->special) return std::nullopt;
  if (token->kind == PieceKind::byte) return std::string(1, static_cast<char>(token->byte));
  if (token->kind == PieceKind::control || token->kind == PieceKind::unknown) return std::nullopt;
  std::string bytes = replace_all(token->text, kSpaceSymbol, " ");
  if (bytes.empty() || (token->added && !strip_left(bytes).empty())) return std::nullopt;
  return bytes;
}

std::int32_t SentencePieceTokenizer::vocab_size() const {
  auto size = static_cast<std::int32_t>(table_.pieces.size());
  for (const auto& [id, token] : table_.added) size = std::max(size, id + 1);
  return size;
}

}  // namespace

std::shared_ptr<const Tokenizer> load_sentencepiece_tokenizer(const CheckpointFiles& checkpoint,
                                                              const std::string& file) {
  const Config config = checkpoint.json_file("tokenizer_config.json");
  SentencePieceModel model = load_model(checkpoint, file, config);
  const TokenizerFiles files = read_tokenizer_files(checkpoint, config, model);
  return std::make_shared<const SentencePieceTokenizer>(std::move(model), files, config);
}

}  // namespace mmbatch
