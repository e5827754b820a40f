#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "bench/inputs/scratch_folder.h"
#include "bench/workload.h"
#include "pipeline/constraint/grammar_constraint.h"
#include "text/constraint/constraint.h"

namespace mmbatch::bench {
namespace {

using Ids = std::vector<std::int32_t>;

/// The letters that stand for bytes in tokenizer.json.
std::vector<std::string> byte_letters() {
  std::vector<std::string> out;
  int more = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    const int letter = printable ? byte : more++;
    std::string text;
    if (letter < 0x80) {
      text = static_cast<char>(letter);
    } else {
      text += static_cast<char>(0xC0 | letter >> 6);
      text += static_cast<char>(0x80 | (letter & 0x3F));
    }
    out.push_back(text);
  }
  return out;
}

/// A byte-level BPE: words, numbers, and the punctuation of JSON alone and grown together with words, about
/// as often as published vocabularies have it.
nlohmann::json tokenizer_json(std::size_t count) {
  const std::vector<std::string> letters = byte_letters();
  auto vocab = nlohmann::json::object();
  auto merges = nlohmann::json::array();
  std::vector<std::string> tokens;
  std::unordered_set<std::string> known;
  const auto add = [&](const std::string& token) {
    if (!known.insert(token).second) return false;
    vocab[token] = tokens.size();
    tokens.push_back(token);
    return true;
  };
  for (const std::string& letter : letters) add(letter);
  constexpr std::string_view kLetters = "eeeettttaaaooonniissrrhhlldduummccppggbbffwwyykvxjqz";
  constexpr std::string_view kMarks = " \"\":,{}[]\\.0123456789-/";
  std::mt19937 random(23);
  while (tokens.size() < count) {
    const std::string& before = tokens[random() % tokens.size()];
    const bool mark = random() % 12 == 0;
    const auto byte = static_cast<std::uint8_t>(mark ? kMarks[random() % kMarks.size()]
                                                     : kLetters[random() % kLetters.size()]);
    const std::string pair[] = {before, letters[byte]};
    if (before.size() < 14 && add(pair[0] + pair[1])) merges.push_back(pair);
  }
  return {
      {"version", "1.0"},
      {"added_tokens", nlohmann::json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", true}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

/// Thirty fields of the kinds that forms have.
ConstraintSpec form() {
  auto properties = nlohmann::ordered_json::object();
  auto required = nlohmann::ordered_json::array();
  const nlohmann::ordered_json kinds[] = {
      {{"type", "string"}, {"maxLength", 40}},
      {{"type", "number"}, {"minimum", 0}, {"maximum", 100000}, {"multipleOf", 0.01}},
      {{"enum", {"cash", "card", "transfer", "other"}}},
      {{"type", "string"}, {"format", "date"}},
      {{"type", "integer"}, {"minimum", 1}, {"maximum", 99}},
      {{"type", "array"}, {"items", {{"type", "string"}, {"maxLength", 20}}}, {"maxItems", 3}}};
  for (int i = 0; i < 30; ++i) {
    const std::string name = fmt::format("field_{}", i);
    properties[name] = kinds[i % 6];
    required.push_back(name);
  }
  ConstraintSpec spec;
  spec.kind = ConstraintSpec::Kind::json_schema;
  spec.text =
      nlohmann::ordered_json{{"type", "object"}, {"properties", properties}, {"required", required}}.dump();
  return spec;
}

/// An answer drawn from the allowed tokens.
Ids drawn(const TokenConstraint& constraint, std::size_t vocab, unsigned seed) {
  constexpr std::size_t kMost = 1500;
  std::mt19937 random(seed);
  Ids ids;
  TokenConstraint::State state = constraint.start();
  while (ids.size() < kMost && !constraint.complete(state)) {
    TokenMask mask(vocab);
    constraint.allowed(state, mask);
    Ids allowed;
    for (std::size_t token = 0; token < vocab; ++token) {
      if (mask.has(token)) allowed.push_back(static_cast<std::int32_t>(token));
    }
    ids.push_back(allowed[random() % allowed.size()]);
    state = *constraint.advance(state, ids.back());
  }
  return ids;
}

/// As the sampler asks: the tokens that may come, then the one that came.
void follow(const TokenConstraint& constraint, std::size_t vocab, const Ids& ids) {
  TokenConstraint::State state = constraint.start();
  for (const std::int32_t id : ids) {
    TokenMask mask(vocab);
    constraint.allowed(state, mask);
    state = *constraint.advance(state, id);
  }
}

}  // namespace

void run_constraint(Session& session) {
  const std::size_t vocab = session.quick() ? 2'000 : 150'000;
  const ScratchFolder folder(session.options().scratch);
  std::ofstream(folder.path() / "tokenizer.json") << tokenizer_json(vocab).dump();
  const std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(folder.path());
  session.add({"tokens of a vocabulary as a tree",
               session.time(3, [&] { TokenBytes tree(tokenizer); }),
               1,
               "vocabularies/s",
               {}});
  const auto tokens = std::make_shared<const TokenBytes>(tokenizer);
  const ConstraintSpec spec = form();
  session.add({"compile a schema of 30 fields",
               session.time(7, [&] { compile_constraint(spec); }),
               1,
               "schemas/s",
               {}});
  const std::shared_ptr<const Grammar> grammar = compile_constraint(spec).grammar;
  const auto constraint_of = [&](std::shared_ptr<TokenMasks> masks) {
    return GrammarConstraint(std::move(masks), {}, nullptr);
  };
  const auto known = std::make_shared<TokenMasks>(grammar, tokens);
  std::vector<Ids> answers;
  double count = 0;
  for (unsigned seed = 0; seed < (session.quick() ? 2u : 16u); ++seed) {
    answers.push_back(drawn(constraint_of(known), vocab, seed));
    count += static_cast<double>(answers.back().size());
  }
  session.add(
      {"masks of the first answer",
       session.time(
           7,
           [&] { follow(constraint_of(std::make_shared<TokenMasks>(grammar, tokens)), vocab, answers[0]); }),
       static_cast<double>(answers[0].size()),
       "tokens/s",
       {}});
  session.add({"masks of 16 answers, new",
               session.time(7,
                            [&] {
                              const auto masks = std::make_shared<TokenMasks>(grammar, tokens);
                              for (const Ids& ids : answers) follow(constraint_of(masks), vocab, ids);
                            }),
               count,
               "tokens/s",
               {}});
  session.add({"masks of 16 answers, known",
               session.time(7,
                            [&] {
                              for (const Ids& ids : answers) follow(constraint_of(known), vocab, ids);
                            }),
               count,
               "tokens/s",
               {}});
}

}  // namespace mmbatch::bench
