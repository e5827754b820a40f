// Token masks on small tokenizers of five kinds: tests/data/structured/masks.json.

#include "text/constraint/mask/token_masks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/text/constraint/spec_of.h"
#include "text/constraint/constraint.h"

namespace mmbatch {
namespace {

using testing::spec_of;
using Json = nlohmann::ordered_json;

const std::filesystem::path kData = MMBATCH_TEST_DATA;

Json read_json(const std::string& name) {
  return Json::parse(std::ifstream(kData / "structured" / name));
}

std::shared_ptr<const TokenBytes> tokens_of(const std::string& tokenizer) {
  static std::map<std::string, std::shared_ptr<const TokenBytes>> known;
  auto& tokens = known[tokenizer];
  if (!tokens) tokens = std::make_shared<const TokenBytes>(load_tokenizer(kData / "tokenizers" / tokenizer));
  return tokens;
}

Machine::State state_behind(Machine& machine, std::string_view text) {
  Machine::State state = machine.start(), behind;
  for (const char byte : text) {
    machine.step(state, static_cast<std::uint8_t>(byte), behind);
    state.swap(behind);
  }
  return state;
}

TEST(TokenMasks, OfSmallTokenizers) {
  const Json all_cases = read_json("cases.json"), all_masks = read_json("masks.json");
  std::map<std::string, Json> cases;
  for (const Json& c : all_cases.at("cases")) cases[c.at("id")] = c;
  std::size_t seen = 0;
  for (const Json& mask : all_masks.at("masks")) {
    const auto tokenizer = mask.at("tokenizer").get<std::string>();
    if (!std::filesystem::exists(kData / "tokenizers" / tokenizer)) continue;
    const Json& c = cases.at(mask.at("case"));
    const auto text = c.at("valid").at(mask.at("of").get<std::size_t>()).get<std::string>();
    SCOPED_TRACE(tokenizer + " " + mask.at("case").get<std::string>() + " " + text);
    TokenMasks masks(compile_constraint(spec_of(c)).grammar, tokens_of(tokenizer));
    Machine machine(masks.grammar());
    const Machine::State state =
        state_behind(machine, std::string_view(text).substr(0, mask.at("len").get<std::size_t>()));
    std::vector<std::int32_t> expected, found = masks.unforced(machine, state, AnswerPlace::behind).ids();
    for (const Json& range : mask.at("ids")) {
      for (int id = range.at(0); id <= range.at(1).get<int>(); ++id) expected.push_back(id);
    }
    // End tokens, which not every folder here names, are the only special ones among them.
    const auto ends =
        std::erase_if(expected, [&](std::int32_t id) { return masks.tokens().tokenizer().is_special(id); });
    EXPECT_EQ(machine.may_end(state), ends > 0);
    EXPECT_EQ(found, expected);
    const auto forced = mask.value("forced_ids", std::vector<std::int32_t>{});
    EXPECT_EQ(masks.next(machine, state, AnswerPlace::behind)->forced, forced);
    ++seen;
  }
  EXPECT_GT(seen, 250u);
}

// What the caches hold changes no mask, and a token is in the mask exactly if its bytes can be read.
TEST(TokenMasks, AreWhatTheAutomatonReads) {
  std::mt19937 random(5);
  const auto tokens = tokens_of("qwen3");
  const Json all_cases = read_json("cases.json");
  for (const Json& c : all_cases.at("cases")) {
    if (c.at("expect") != "supported" || random() % 4 != 0) continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    TokenMasks masks(compile_constraint(spec_of(c)).grammar, tokens);
    Machine machine(masks.grammar());
    Machine::State state = machine.start();
    for (int step = 0; step < 60; ++step) {
      const auto next = masks.next(machine, state, AnswerPlace::behind);
      std::vector<std::int32_t> ids = masks.unforced(machine, state, AnswerPlace::behind).ids();
      std::vector<std::int32_t> readable;
      const Machine::Mark mark = machine.mark();
      for (std::int32_t id = 0; id < static_cast<std::int32_t>(tokens->vocab()); ++id) {
        if (!masks.behind(machine, state, AnswerPlace::behind, id).empty()) readable.push_back(id);
      }
      machine.release(mark);
      ASSERT_EQ(ids, readable);
      if (ids.empty()) {
        EXPECT_TRUE(next->may_end);
        break;
      }
      const std::vector<std::int32_t> allowed = next->allowed.ids();
      const std::int32_t token = allowed[random() % allowed.size()];
      state = masks.behind(machine, state, AnswerPlace::behind, token);
    }
  }
}

TEST(TokenMasks, TokensByTheirCharacters) {
  for (const char* name : {"qwen3", "llama2-legacy"}) {
    const auto tokens = tokens_of(name);
    TokenSet all(tokens->vocab());
    for (std::size_t id = 0; id < tokens->vocab(); ++id) all.add(static_cast<std::int32_t>(id));
    for (const std::uint32_t most : {0u, 1u, 3u, 15u, 16u, 17u, 30u, 1000u}) {
      const TokenSet kept = tokens->with_characters(all, most);
      for (const std::int32_t id : all.ids()) {
        const std::string& text = tokens->of(id);
        const auto characters =
            std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
        ASSERT_EQ(kept.has(id), std::cmp_less_equal(characters, most)) << text;
      }
    }
  }
}

TEST(TokenMasks, AFirstSpaceThatDecodingDropsDoesNotCount) {
  const auto tokens = tokens_of("llama2-legacy");
  ASSERT_TRUE(tokens->drops_first_space());
  ConstraintSpec spec;
  spec.kind = ConstraintSpec::Kind::regex;
  spec.text = "[a-z ]+";
  TokenMasks masks(compile_constraint(spec).grammar, tokens);
  Machine machine(masks.grammar());
  const Machine::State start = machine.start();
  for (const std::int32_t id : masks.next(machine, start, AnswerPlace::beginning)->allowed.ids()) {
    const Machine::State behind = masks.behind(machine, start, AnswerPlace::beginning, id);
    EXPECT_FALSE(behind.empty()) << tokens->of(id);
  }
  spec.text = "[a-z]";
  TokenMasks letters(compile_constraint(spec).grammar, tokens);
  Machine one(letters.grammar());
  const auto allowed = letters.next(one, one.start(), AnswerPlace::beginning)->allowed.ids();
  bool spaced = false;
  for (const std::int32_t id : allowed) spaced = spaced || tokens->of(id).size() == 2;
  EXPECT_TRUE(spaced);
}

}  // namespace
}  // namespace mmbatch
