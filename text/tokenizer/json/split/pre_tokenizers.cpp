#include "text/tokenizer/json/split/pre_tokenizers.h"

#include <fmt/format.h>

#include <functional>

#include "engine/base/text/utf8.h"
#include "text/tokenizer/json/normalize/replacement.h"
#include "text/tokenizer/json/split/splitting.h"
#include "text/tokenizer/models/byte_characters.h"
#include "text/tokenizer/unicode/characters.h"

namespace mmbatch {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxSteps = 64;
constexpr const char* kByteLevelRegex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";

/// Finds what a piece is split at.
using Finder = std::function<void(std::string_view text, std::vector<Span>& matches)>;

class Splitter : public PreTokenizer {
 public:
  Splitter(Finder find, SplitBehavior behavior, SplitMatch matched = SplitMatch::found)
      : find_(std::move(find)), behavior_(behavior), matched_(matched) {}

  void apply(Pieces& pieces) const override {
    std::vector<Piece> parts;
    std::vector<Span> matches;
    parts.reserve(pieces.all.size());
    for (const Piece& piece : pieces.all) {
      matches.clear();
      find_(piece.text, matches);
      split_piece(piece, matches, behavior_, matched_, parts);
    }
    pieces.all = std::move(parts);
  }

 private:
  Finder find_;
  SplitBehavior behavior_;
  SplitMatch matched_;
};

/// Every character of a kind is a match by itself.
Finder each_character(bool (*is)(char32_t)) {
  return [is](std::string_view text, std::vector<Span>& matches) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      if (is(next_code_point(text, at))) matches.push_back({begin, at});
    }
  };
}

std::unique_ptr<PreTokenizer> split_at_characters(bool (*is)(char32_t), SplitBehavior behavior) {
  return std::make_unique<Splitter>(each_character(is), behavior);
}

/// Runs of word characters, and runs of what is neither that nor white space.
void find_words(std::string_view text, std::vector<Span>& matches) {
  int last = 0;  // 1 in a word, 2 in a run of other characters
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const int kind = is_word_character(c) ? 1 : is_white_space(c) ? 0 : 2;
    if (kind != 0 && kind == last) {
      matches.back().end = at;
    } else if (kind != 0) {
      matches.push_back({begin, at});
    }
    last = kind;
  }
}

/// Pieces of one script each. What stands before the first character of a script is left out, as in the
/// library.
class UnicodeScripts : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<Piece> parts;
    for (const Piece& piece : pieces.all) {
      std::vector<std::size_t> borders;
      int last = kAnyScript;
      bool any = false;
      for (std::size_t at = 0; at < piece.text.size();) {
        const std::size_t begin = at;
        const int script = script_of(next_code_point(piece.text, at));
        if (script == kAnyScript) continue;
        if (!any || script != last) borders.push_back(begin);
        last = script;
        any = true;
      }
      borders.push_back(piece.text.size());
      for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
        const bool first = borders[i] == 0;
        parts.push_back({piece.text.substr(borders[i], borders[i + 1] - borders[i]),
                         piece.at_beginning && first, piece.takes_prefix || !first});
      }
    }
    pieces.all = std::move(parts);
  }
};

/// Characters become those of their bytes.
class ByteLevel : public PreTokenizer {
 public:
  enum class Place { last, inside };  // as the last step it leaves the bytes to the model

  explicit ByteLevel(Place place) : place_(place) {}

  void apply(Pieces& pieces) const override {
    if (place_ == Place::last) {
      pieces.form = PieceForm::bytes;
      return;
    }
    for (Piece& piece : pieces.all) {
      std::string& made = pieces.made.emplace_back();
      append_byte_characters(piece.text, made);
      piece.text = made;
    }
  }

 private:
  Place place_;
};

/// A space before every piece that begins with none.
class PrefixSpace : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    for (Piece& piece : pieces.all) {
      if (piece.text.starts_with(' ') || !piece.takes_prefix) continue;
      piece.text = pieces.made.emplace_back(" " + std::string(piece.text));
    }
  }
};

enum class PrependScheme { always, first, never };

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme)
      : replacement_(std::move(replacement)), scheme_(scheme) {}

  void apply(Pieces& pieces) const override {
    for (Piece& piece : pieces.all) {
      std::string& made = pieces.made.emplace_back(replace_all(piece.text, " ", replacement_));
      const bool wanted =
          scheme_ == PrependScheme::always || (scheme_ == PrependScheme::first && piece.at_beginning);
      if (wanted && piece.takes_prefix && !made.starts_with(replacement_)) made.insert(0, replacement_);
      piece.text = made;
    }
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
};

Finder literal(std::string text) {
  return [text = std::move(text)](std::string_view in, std::vector<Span>& matches) {
    for (std::size_t at = in.find(text); at != std::string_view::npos; at = in.find(text, at + text.size())) {
      matches.push_back({at, at + text.size()});
    }
  };
}

class Reader {
 public:
  void read(const Config& step, bool last, int depth) {
    const std::string type = step.text("type", "");
    if (depth > kMaxDepth || steps.size() >= kMaxSteps)
      step.fail("pretokenizers", "too many, or nested too deeply");
    if (type == "Sequence") {
      const std::vector<Config> parts = step.list("pretokenizers");
      for (std::size_t i = 0; i < parts.size(); ++i) read(parts[i], last && i + 1 == parts.size(), depth + 1);
    } else if (type == "Split") {
      add_split(step);
    } else if (type == "ByteLevel") {
      add_byte_level(step, last);
    } else if (type == "Metaspace") {
      add_metaspace(step);
    } else if (type == "Digits") {
      steps.push_back(split_at_characters(is_numeric, step.flag("individual_digits", false)
                                                          ? SplitBehavior::isolated
                                                          : SplitBehavior::contiguous));
    } else if (type == "Punctuation") {
      steps.push_back(
          split_at_characters(is_punctuation, read_behavior(step, "behavior", SplitBehavior::isolated)));
    } else if (type == "WhitespaceSplit") {
      steps.push_back(split_at_characters(is_white_space, SplitBehavior::removed));
    } else if (type == "BertPreTokenizer") {
      steps.push_back(split_at_characters(is_white_space, SplitBehavior::removed));
      steps.push_back(split_at_characters(is_punctuation, SplitBehavior::isolated));
    } else if (type == "Whitespace") {
      steps.push_back(std::make_unique<Splitter>(find_words, SplitBehavior::removed, SplitMatch::between));
    } else if (type == "CharDelimiterSplit") {
      steps.push_back(
          std::make_unique<Splitter>(literal(character(step, "delimiter")), SplitBehavior::removed));
    } else if (type == "FixedLength") {
      add_fixed_length(step);
    } else if (type == "UnicodeScripts") {
      steps.push_back(std::make_unique<UnicodeScripts>());
    } else {
      step.fail("type", fmt::format("a pre-tokenizer '{}' is not supported", type));
    }
  }

  std::vector<std::unique_ptr<const PreTokenizer>> steps;

 private:
  static std::string character(const Config& step, const std::string& key) {
    const std::string text = step.text(key, "");
    if (text.empty() || utf8_length(text) != text.size()) step.fail(key, "expected one character");
    return text;
  }

  void add_split(const Config& step) {
    const SplitBehavior behavior = read_behavior(step, "behavior", SplitBehavior::isolated);
    steps.push_back(std::make_unique<Splitter>(
        [pattern = TextPattern(step, "pattern")](std::string_view text, std::vector<Span>& matches) {
          pattern.find_all(text, matches);
        },
        behavior, step.flag("invert", false) ? SplitMatch::between : SplitMatch::found));
  }

  void add_byte_level(const Config& step, bool last) {
    if (step.flag("add_prefix_space", true)) steps.push_back(std::make_unique<PrefixSpace>());
    if (step.flag("use_regex", true)) {
      steps.push_back(std::make_unique<Splitter>(
          [regex = Regex(kByteLevelRegex, "ByteLevel")](std::string_view text, std::vector<Span>& matches) {
            regex.find_all(text, matches);
          },
          SplitBehavior::isolated));
    }
    steps.push_back(std::make_unique<ByteLevel>(last ? ByteLevel::Place::last : ByteLevel::Place::inside));
  }

  /// Older files have `add_prefix_space` in place of `prepend_scheme`, and `str_rep` beside `replacement`.
  void add_metaspace(const Config& step) {
    const std::string replacement =
        step.has("replacement") ? character(step, "replacement") : std::string(kSpaceSymbol);
    const std::string otherwise = step.flag("add_prefix_space", true) ? "always" : "never";
    const std::string name = step.text("prepend_scheme", otherwise);
    if (name != "always" && name != "first" && name != "never") {
      step.fail("prepend_scheme", fmt::format("'{}' is none of always, first, never", name));
    }
    const PrependScheme scheme = name == "always"  ? PrependScheme::always
                                 : name == "first" ? PrependScheme::first
                                                   : PrependScheme::never;
    steps.push_back(std::make_unique<Metaspace>(replacement, scheme));
    if (!step.flag("split", true)) return;
    steps.push_back(std::make_unique<Splitter>(literal(replacement), SplitBehavior::merged_with_next));
  }

  void add_fixed_length(const Config& step) {
    const std::int64_t length = step.integer("length", 5, {.min = 1, .max = 1 << 20});
    steps.push_back(std::make_unique<Splitter>(
        [length](std::string_view text, std::vector<Span>& matches) {
          std::int64_t characters = 0;
          for (std::size_t at = 0; at < text.size(); ++characters) {
            const std::size_t begin = at;
            next_code_point(text, at);
            if (characters % length == 0) matches.push_back({begin, at});
            matches.back().end = at;
          }
        },
        SplitBehavior::isolated));
  }
};

}  // namespace

std::vector<std::unique_ptr<const PreTokenizer>> read_pre_tokenizers(const Config& tokenizer) {
  Reader reader;
  if (tokenizer.has("pre_tokenizer")) reader.read(tokenizer.object("pre_tokenizer"), true, 0);
  return std::move(reader.steps);
}

}  // namespace mmbatch
