// mmbatch_constrain [--tokenizer DIR]: what an answer may be held to, as a program to compare with others.
// JSON lines on standard input, one line out for each:
//   {"kind": "json_schema", "schema": …, "whitespace": "spaced", "texts": ["…"], "prefixes": [[text, bytes],
//   …]} → {"error": "…"}, or {"accepted": […], "accepted_bytes": […], "next": [{"bytes": [[lo, hi], …],
//   "eos": …, "forced": "…"}, …]}
// Kinds: json_schema (schema), json_object, regex (regex), choices (choices), grammar (grammar). With a
// tokenizer, `next` holds the tokens that may follow too, end tokens among them, and in `forced_tokens` those
// to which the rule of forced tokens narrows them. Exit code 0 when every line had an answer, 2 when the
// folder has no tokenizer that can be read.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/text/utf8.h"
#include "text/constraint/constraint.h"
#include "text/constraint/grammar/machine.h"
#include "text/constraint/mask/token_masks.h"
#include "text/tokenizer/tokenizer.h"

namespace {

using Json = nlohmann::ordered_json;
using mmbatch::ConstraintSpec;
using mmbatch::Machine;

ConstraintSpec spec_of(const Json& line) {
  ConstraintSpec spec;
  const auto kind = line.at("kind").get<std::string>();
  const auto whitespace = line.value("whitespace", "spaced");
  spec.spacing = whitespace == "compact"    ? mmbatch::JsonSpacing::compact
                 : whitespace == "flexible" ? mmbatch::JsonSpacing::flexible
                                            : mmbatch::JsonSpacing::spaced;
  if (kind == "json_schema") {
    spec.kind = ConstraintSpec::Kind::json_schema;
    spec.text = line.at("schema").dump();
  } else if (kind == "json_object") {
    spec.kind = ConstraintSpec::Kind::json_object;
  } else if (kind == "choices") {
    spec.kind = ConstraintSpec::Kind::choices;
    spec.choices = line.at("choices").get<std::vector<std::string>>();
  } else if (kind == "regex" || kind == "grammar") {
    spec.kind = kind == "regex" ? ConstraintSpec::Kind::regex : ConstraintSpec::Kind::grammar;
    spec.text = line.at(kind).get<std::string>();
  } else {
    throw std::runtime_error("unknown kind " + kind);
  }
  return spec;
}

/// The bytes that may follow, as closed ranges.
std::vector<std::pair<int, int>> next_bytes(Machine& machine, const Machine::State& state) {
  std::vector<std::pair<int, int>> ranges;
  Machine::State behind;
  for (int byte = 0; byte < 256; ++byte) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    if (behind.empty()) continue;
    if (!ranges.empty() && ranges.back().second == byte - 1)
      ranges.back().second = byte;
    else
      ranges.emplace_back(byte, byte);
  }
  return ranges;
}

std::string forced_bytes(Machine& machine, Machine::State state) {
  constexpr std::size_t kMost = 1 << 16;
  std::string out;
  while (out.size() < kMost && !machine.may_end(state)) {
    const auto next = next_bytes(machine, state);
    if (next.size() != 1 || next[0].first != next[0].second) break;
    Machine::State behind;
    machine.step(state, static_cast<std::uint8_t>(next[0].first), behind);
    state = std::move(behind);
    out += static_cast<char>(next[0].first);
  }
  return out;
}

/// Bytes of `text` that are read, and the state behind them.
std::size_t read(Machine& machine, const std::string& text, Machine::State& state) {
  Machine::State behind;
  std::size_t count = 0;
  for (; count < text.size(); ++count) {
    machine.step(state, static_cast<std::uint8_t>(text[count]), behind);
    if (behind.empty()) break;
    state = behind;
  }
  return count;
}

/// Adds what the tokens of a vocabulary may be, in the state behind some bytes.
void add_tokens(mmbatch::TokenMasks& masks, Machine& machine, const Machine::State& state, Json& next) {
  const auto place = mmbatch::AnswerPlace::behind;
  std::vector<std::int32_t> ids = masks.unforced(machine, state, place).ids();
  const auto eos = masks.tokens().tokenizer().eos();
  if (eos && machine.may_end(state)) {
    ids.push_back(*eos);
    std::sort(ids.begin(), ids.end());
  }
  next["tokens"] = ids;
  const auto forced = masks.next(machine, state, place)->forced;
  if (!forced.empty()) next["forced_tokens"] = forced;
}

Json answer(const Json& line, const std::shared_ptr<const mmbatch::TokenBytes>& tokens) {
  const auto compiled = mmbatch::compile_constraint(spec_of(line));
  Machine machine(compiled.grammar);
  std::optional<mmbatch::TokenMasks> masks;
  if (tokens) masks.emplace(compiled.grammar, tokens);
  Json out = {{"accepted", Json::array()}, {"accepted_bytes", Json::array()}, {"next", Json::array()}};
  const auto texts = line.value("texts", std::vector<std::string>{});
  for (const std::string& text : texts) {
    Machine::State state = machine.start();
    const std::size_t count = read(machine, text, state);
    out["accepted"].push_back(count == text.size() && machine.may_end(state));
    out["accepted_bytes"].push_back(count);
  }
  for (const auto& [text, bytes] :
       line.value("prefixes", std::vector<std::pair<std::size_t, std::size_t>>{})) {
    Machine::State state = machine.start();
    read(machine, texts.at(text).substr(0, bytes), state);
    Json next = {{"bytes", next_bytes(machine, state)}, {"eos", machine.may_end(state)}};
    const std::string forced = forced_bytes(machine, state);
    if (!forced.empty() && mmbatch::is_utf8(forced)) next["forced"] = forced;
    if (!forced.empty() && !mmbatch::is_utf8(forced)) {
      std::string hex;
      for (const char c : forced) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
        hex += digits;
      }
      next["forced_hex"] = hex;
    }
    if (masks) add_tokens(*masks, machine, state, next);
    out["next"].push_back(next);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1 && !(argc == 3 && std::strcmp(argv[1], "--tokenizer") == 0)) {
    std::fprintf(stderr, "usage: mmbatch_constrain [--tokenizer DIR] < lines.jsonl\n");
    return 2;
  }
  std::ios::sync_with_stdio(false);
  try {
    std::shared_ptr<const mmbatch::TokenBytes> tokens;
    if (argc == 3) tokens = std::make_shared<const mmbatch::TokenBytes>(mmbatch::load_tokenizer(argv[2]));
    for (std::string line; std::getline(std::cin, line);) {
      Json out;
      try {
        out = answer(Json::parse(line), tokens);
      } catch (const std::exception& e) {
        out = {{"error", e.what()}};
      }
      std::cout << out.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mmbatch_constrain: %s\n", e.what());
    return 2;
  }
  return 0;
}
