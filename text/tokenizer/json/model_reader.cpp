#include "text/tokenizer/json/model_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "engine/base/config.h"
#include "engine/base/error.h"
#include "text/tokenizer/json/json_scanner.h"
#include "text/tokenizer/models/bpe.h"
#include "text/tokenizer/models/unigram.h"
#include "text/tokenizer/models/word_models.h"

namespace mmbatch {
namespace {

constexpr std::size_t kMaxMerges = 1 << 24;

/// What a section holds: the long lists apart, all else as a Config.
struct Section {
  TokenVocabulary vocabulary;
  std::vector<double> scores;  // of a list of tokens with scores
  bool is_list = false;
  std::string_view merges;
  Config options;
};

class SectionReader {
 public:
  SectionReader(std::string_view json, const std::string& source) : scanner_(json, source), source_(source) {
    section_.vocabulary.reserve(json.size() / 48);
  }

  Section read() {
    std::string options;
    scanner_.object([&](std::string_view key) {
      if (key == "vocab") {
        if (scanner_.at_list()) {
          read_list();
        } else {
          read_object();
        }
      } else if (key == "merges") {
        section_.merges = scanner_.raw_value();
      } else {
        // Keys are the library's own names, which need no escapes; others do not matter.
        const bool plain = key.find_first_of("\"\\") == std::string_view::npos;
        const std::string_view value = scanner_.raw_value();
        if (plain) options += fmt::format("{}\"{}\":{}", options.empty() ? "" : ",", key, value);
      }
    });
    scanner_.end();
    section_.options = Config::parse(R"({"model":{)" + options + "}}", source_).object("model");
    return std::move(section_);
  }

 private:
  void read_object() {
    scanner_.object([&](std::string_view token) { add(token, scanner_.integer()); });
  }

  void read_list() {
    section_.is_list = true;
    scanner_.list([&] {
      int at = 0;
      std::string storage;
      scanner_.list([&] {
        if (at == 0) add(scanner_.string(storage), static_cast<std::int64_t>(section_.scores.size()));
        if (at == 1) section_.scores.push_back(scanner_.number());
        if (++at > 2) scanner_.fail("expected a token and its score");
      });
      if (at != 2 || !std::isfinite(section_.scores.back())) scanner_.fail("expected a token and its score");
    });
  }

  void add(std::string_view token, std::int64_t id) {
    if (id < 0 || id > TokenVocabulary::kMaxId) scanner_.fail(fmt::format("an id out of range: {}", id));
    if (token.size() > TokenVocabulary::kMaxTokenBytes) {
      scanner_.fail(fmt::format("a token of more than {} bytes", TokenVocabulary::kMaxTokenBytes));
    }
    section_.vocabulary.add(token, static_cast<std::uint32_t>(id));
  }

  JsonScanner scanner_;
  const std::string& source_;
  Section section_;
};

/// "left right", or ["left", "right"].
class MergesReader {
 public:
  MergesReader(const Section& section, const std::string& source, std::size_t prefix_bytes)
      : vocabulary_(section.vocabulary), scanner_(section.merges, source), prefix_bytes_(prefix_bytes) {}

  MergeTable read() {
    scanner_.list([&] {
      if (all_.size() >= kMaxMerges) scanner_.fail(fmt::format("more than {} merges", kMaxMerges));
      if (scanner_.at_list()) {
        read_pair();
      } else {
        read_line();
      }
    });
    MergeTable table(all_.size());
    for (std::size_t i = 0; i < all_.size(); ++i) {
      table.set(all_[i].left, all_[i].right, {.rank = static_cast<std::uint32_t>(i), .id = all_[i].id});
    }
    return table;
  }

 private:
  struct Found {
    std::uint32_t left, right, id;
  };

  void read_pair() {
    std::string left_storage, right_storage;
    std::string_view left, right;
    int at = 0;
    scanner_.list([&] {
      (at == 0 ? left : right) = scanner_.string(at == 0 ? left_storage : right_storage);
      if (++at > 2) scanner_.fail("a merge is of two tokens");
    });
    if (at != 2) scanner_.fail("a merge is of two tokens");
    add(left, right);
  }

  void read_line() {
    std::string storage;
    const std::string_view line = scanner_.string(storage);
    if (line.starts_with("#version")) return;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      scanner_.fail(fmt::format("the merge '{}' is not of two tokens", line));
    }
    add(line.substr(0, space), line.substr(space + 1));
  }

  void add(std::string_view left, std::string_view right) {
    if (right.size() < prefix_bytes_)
      scanner_.fail(fmt::format("the merge '{} {}' lacks the prefix", left, right));
    joined_.assign(left);
    joined_ += right.substr(prefix_bytes_);
    all_.push_back({id_of(left), id_of(right), id_of(joined_)});
  }

  std::uint32_t id_of(std::string_view token) {
    const auto id = vocabulary_.find(token);
    if (!id) scanner_.fail(fmt::format("a merge has the token '{}', which is not in the vocabulary", token));
    return *id;
  }

  const TokenVocabulary& vocabulary_;
  JsonScanner scanner_;
  std::size_t prefix_bytes_;
  std::string joined_;
  std::vector<Found> all_;
};

std::unique_ptr<const TokenModel> make_bpe(Section section, const std::string& source) {
  const Config& options = section.options;
  if (options.has("dropout") && options.number("dropout", 0) != 0) {
    options.fail("dropout", "merges left out at random are not supported; set it to null");
  }
  BpeOptions bpe{.unk_token = options.text("unk_token", ""),
                 .continuing_subword_prefix = options.text("continuing_subword_prefix", ""),
                 .end_of_word_suffix = options.text("end_of_word_suffix", ""),
                 .fuse_unk = options.flag("fuse_unk", false),
                 .byte_fallback = options.flag("byte_fallback", false),
                 .ignore_merges = options.flag("ignore_merges", false)};
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (options.text(key, "").size() > 64) options.fail(key, "longer than 64 bytes");
  }
  MergeTable merges = section.merges.empty()
                          ? MergeTable(0)
                          : MergesReader(section, source, bpe.continuing_subword_prefix.size()).read();
  return std::make_unique<BpeModel>(std::move(section.vocabulary), std::move(merges), std::move(bpe));
}

std::unique_ptr<const TokenModel> make_unigram(Section section) {
  const Config& options = section.options;
  UnigramOptions unigram{.unk_id = std::nullopt, .byte_fallback = options.flag("byte_fallback", false)};
  if (options.has("unk_id")) {
    const auto most = static_cast<std::int64_t>(section.scores.size()) - 1;
    if (most < 0) options.fail("unk_id", "the vocabulary is empty");
    unigram.unk_id = static_cast<std::uint32_t>(options.integer("unk_id", 0, {.min = 0, .max = most}));
  }
  return std::make_unique<UnigramModel>(std::move(section.vocabulary), std::move(section.scores), unigram);
}

std::string guess_type(const Section& section) {
  if (section.is_list) return "Unigram";
  if (!section.merges.empty()) return "BPE";
  return section.options.has("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

}  // namespace

std::unique_ptr<const TokenModel> read_token_model(std::string_view json, const std::string& source) {
  Section section = SectionReader(json, source).read();
  const Config options = section.options;
  const std::string type = options.text("type", guess_type(section));
  if ((type == "Unigram") != section.is_list) {
    options.fail("vocab",
                 fmt::format("a {} has {}", type, section.is_list ? "an object of ids" : "a list of scores"));
  }
  if (type == "BPE") return make_bpe(std::move(section), source);
  if (type == "Unigram") return make_unigram(std::move(section));
  if (type == "WordPiece") {
    WordPieceModel::Options word{.unk_token = options.text("unk_token", "[UNK]"),
                                 .continuing_subword_prefix = options.text("continuing_subword_prefix", "##"),
                                 .max_input_chars_per_word = static_cast<std::size_t>(options.integer(
                                     "max_input_chars_per_word", 100, {.min = 0, .max = 1 << 20}))};
    return std::make_unique<WordPieceModel>(std::move(section.vocabulary), std::move(word));
  }
  if (type == "WordLevel") {
    return std::make_unique<WordLevelModel>(std::move(section.vocabulary),
                                            options.text("unk_token", "<unk>"));
  }
  options.fail("type", fmt::format("a model '{}' is not supported", type));
}

}  // namespace mmbatch
