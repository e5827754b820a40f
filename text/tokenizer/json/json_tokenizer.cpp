#include "text/tokenizer/json/json_tokenizer.h"

#include <fmt/format.h>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "text/tokenizer/json/json_scanner.h"
#include "text/tokenizer/json/model_reader.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxNormalizedBytes = 64u << 20;
constexpr const char* kComposing = R"({"normalizer": {"type": "NFC"}})";
constexpr const char* kPrefixAtBeginning =
    R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}})";

/// Whether the normalizer is Prepend ▁ and Replace of spaces by ▁, as converters of sentencepiece models
/// wrote it.
bool prefixes_every_stretch(const Config& tokenizer) {
  if (tokenizer.has("pre_tokenizer") || !tokenizer.has("normalizer")) return false;
  const std::vector<Config> steps = tokenizer.object("normalizer").list("normalizers");
  return steps.size() == 2 && steps[0].text("type", "") == "Prepend" && steps[0].text("prepend", "") == "▁" &&
         steps[1].text("type", "") == "Replace" && steps[1].text("content", "") == "▁" &&
         steps[1].child("pattern").text("String", "") == " ";
}

class JsonTokenStream : public TokenStream {
 public:
  JsonTokenStream(const JsonTokenizer& tokenizer, const TokenDecoder& decoder, SpecialTokens special)
      : tokenizer_(tokenizer), special_(special), stages_(decoder.start(&out_)) {}

  void push(std::int32_t id, std::string& out) override {
    const std::string_view token = tokenizer_.piece(id);
    if (token.empty() || (special_ == SpecialTokens::without && tokenizer_.is_special(id))) return;
    out_ = &out;
    stages_.front()->put(token, DecodeStage::whole);
  }

  void finish(std::string& out) override {
    out_ = &out;
    stages_.front()->finish();
  }

 private:
  const JsonTokenizer& tokenizer_;
  SpecialTokens special_;
  std::string* out_ = nullptr;
  std::vector<std::unique_ptr<DecodeStage>> stages_;
};

}  // namespace

JsonTokenizer::JsonTokenizer(std::unique_ptr<const TokenModel> model, std::string_view json,
                             const std::string& source, const SpecialTokenFiles& special)
    : model_(std::move(model)) {
  read(json, source, special);
  add_tokens(special);
  added_.build([&](const std::string& content) {
    NormalizedText text;
    text.text = content;
    if (!normalize(text, AddedTokens::kMaxContentBytes)) {
      throw ModelError(
          fmt::format("{}: key 'added_tokens': a token of more than {} bytes after normalization", source,
                      AddedTokens::kMaxContentBytes));
    }
    return text.text;
  });
}

void JsonTokenizer::read(std::string_view json, const std::string& source, const SpecialTokenFiles& special) {
  JsonScanner scanner(json, source);
  std::string sections;
  std::string_view model;
  scanner.object([&](std::string_view key) {
    const bool wanted = key == "added_tokens" || key == "normalizer" || key == "pre_tokenizer" ||
                        key == "post_processor" || key == "decoder";
    const std::string name(key);
    const std::string_view value = scanner.raw_value();
    if (key == "model") model = value;
    if (wanted) sections += fmt::format("{}\"{}\":{}", sections.empty() ? "{" : ",", name, value);
  });
  scanner.end();
  if (!model_ && model.empty())
    throw ModelError(source + ": key 'model' is missing: this is not a tokenizer");
  if (!model_) model_ = read_token_model(model, source);
  const Config config = Config::parse(sections.empty() ? "{}" : sections + "}", source);
  const bool replaced = special.prefix_at_beginning_only && prefixes_every_stretch(config);
  const Config prefix = replaced ? Config::parse(kPrefixAtBeginning, source) : config;
  const bool composed = special.rules.composes && !prefix.has("normalizer");
  normalizers_ = read_normalizers(composed ? Config::parse(kComposing, source) : prefix);
  pre_tokenizers_ = read_pre_tokenizers(prefix);
  post_processor_ = PostProcessor(config);
  decoder_ = std::make_unique<const TokenDecoder>(config, special.rules.word_end);
  if (!config.has("added_tokens")) return;
  const std::vector<Config> tokens = config.list("added_tokens");
  if (tokens.size() > AddedTokens::kMaxTokens) {
    config.fail("added_tokens", fmt::format("more than {}", AddedTokens::kMaxTokens));
  }
  for (const Config& token : tokens) added_.add(read_added_token(token), model_->vocabulary());
}

void JsonTokenizer::add_tokens(const SpecialTokenFiles& special) {
  const TokenVocabulary& vocabulary = model_->vocabulary();
  for (const JsonAddedToken& token : special.decoder) {
    if (special.rules.decoder_decides) added_.unmark(token.content);
    added_.add(token, vocabulary);
  }
  for (const JsonAddedToken& token : special.named) {
    if (special.rules.decoder_decides && !special.decoder.empty()) added_.mark(token.content);
  }
  for (const JsonAddedToken& token : special.named) {
    if (!added_.find(token.content)) added_.add(token, vocabulary);
  }
  const auto id_of = [&](const char* role) -> std::optional<std::int32_t> {
    const auto found = special.roles.find(role);
    return found == special.roles.end() ? std::nullopt : token_id(found->second);
  };
  bos_ = id_of("bos_token");
  eos_ = id_of("eos_token");
  pad_ = id_of("pad_token");
  unk_ = id_of("unk_token");
}

bool JsonTokenizer::normalize(NormalizedText& text, std::size_t most) const {
  for (const auto& normalizer : normalizers_) {
    normalizer->apply(text);
    if (text.text.size() > most) return false;
  }
  return true;
}

std::vector<std::int32_t> JsonTokenizer::encode(std::string_view text, SpecialTokens special) const {
  Ids ids = ids_of(text, Beginning::of_text);
  return special == SpecialTokens::with ? post_processor_.apply(std::move(ids)) : ids;
}

std::vector<std::int32_t> JsonTokenizer::encode_continuation(std::string_view text) const {
  return ids_of(text, Beginning::of_continuation);
}

Ids JsonTokenizer::ids_of(std::string_view text, Beginning beginning) const {
  if (text.size() > kMaxTextBytes) {
    throw ItemError(
        ErrorCode::prompt_too_long,
        fmt::format("a text of {} bytes; this tokenizer takes at most {}", text.size(), kMaxTextBytes));
  }
  const std::string clean = is_utf8(text) ? std::string() : replace_invalid_utf8(text);
  if (!clean.empty()) text = clean;
  Ids ids;
  std::vector<TextSegment> segments;
  added_.split(text, AddedTokens::Stage::raw, segments);
  for (const TextSegment& segment : segments) {
    if (segment.id >= 0) {
      ids.push_back(segment.id);
      continue;
    }
    const bool first = segment.begin == 0;
    NormalizedText part;
    part.text = std::string(text.substr(segment.begin, segment.end - segment.begin));
    part.takes_prefix = !first || beginning == Beginning::of_text;
    encode_segment(std::move(part), first, ids);
  }
  return ids;
}

void JsonTokenizer::encode_segment(NormalizedText segment, bool first, Ids& ids) const {
  if (!normalize(segment, kMaxNormalizedBytes)) {
    throw ItemError(ErrorCode::prompt_too_long,
                    fmt::format("a text of more than {} MiB after normalization", kMaxNormalizedBytes >> 20));
  }
  std::vector<TextSegment> parts;
  added_.split(segment.text, AddedTokens::Stage::normalized, parts);
  for (const TextSegment& part : parts) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    Pieces pieces;
    pieces.all.push_back({.text = std::string_view(segment.text).substr(part.begin, part.end - part.begin),
                          .at_beginning = first && segment.first_kept && part.begin == 0,
                          .takes_prefix = segment.takes_prefix || part.begin > 0});
    for (const auto& step : pre_tokenizers_) step->apply(pieces);
    for (const Piece& piece : pieces.all) model_->encode(piece.text, pieces.form, ids);
  }
}

std::unique_ptr<TokenStream> JsonTokenizer::stream(SpecialTokens special) const {
  return std::make_unique<JsonTokenStream>(*this, *decoder_, special);
}

std::optional<std::int32_t> JsonTokenizer::token_id(std::string_view piece) const {
  if (const auto id = added_.find(piece)) return id;
  const auto id = model_->vocabulary().find(piece);
  return id ? std::optional<std::int32_t>(static_cast<std::int32_t>(*id)) : std::nullopt;
}

std::string_view JsonTokenizer::piece(std::int32_t id) const {
  if (id < 0) return {};
  if (const std::string* text = added_.text(id)) return *text;
  return model_->vocabulary().token(static_cast<std::uint32_t>(id));
}

bool JsonTokenizer::is_special(std::int32_t id) const {
  const std::string_view content = piece(id);
  return !content.empty() && added_.is_special(content);
}

bool JsonTokenizer::in_vocabulary(std::int32_t id) const {
  return id >= 0 && model_->vocabulary().has(static_cast<std::uint32_t>(id));
}

std::optional<std::string> JsonTokenizer::bytes_inside_text(std::int32_t id) const {
  const std::string_view token = piece(id);
  if (token.empty() || is_special(id) || id == unk_) return std::nullopt;
  std::string bytes = decoder_->bytes_inside_text(token);
  const bool added = added_.text(id) != nullptr;
  if (bytes.empty() || (added && !strip_left(bytes).empty())) return std::nullopt;
  return bytes;
}

std::int32_t JsonTokenizer::vocab_size() const {
  return std::max(added_.id_end(), static_cast<std::int32_t>(model_->vocabulary().id_end()));
}

std::shared_ptr<const Tokenizer> load_json_tokenizer(const CheckpointFiles& files) {
  constexpr const char* kName = "tokenizer.json";
  const std::optional<std::string> json = files.read_file(kName, JsonTokenizer::kMaxFileBytes);
  if (!json) throw ModelError(files.source_of(kName) + ": no such file");
  return std::make_shared<const JsonTokenizer>(*json, files.source_of(kName), read_special_tokens(files));
}

}  // namespace mmbatch
