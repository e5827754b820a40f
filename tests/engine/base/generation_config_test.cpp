#include "engine/base/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/temporary_folder.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using Ids = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;

std::string refusal(const std::string& name, const GenerationValue& value) {
  GenerationConfig config;
  return message_of<GenerationError>([&] { set(config, name, value); });
}

std::string contradiction(const GenerationOverrides& overrides) {
  GenerationConfig config;
  apply(config, overrides);
  return message_of<GenerationError>([&] { config.validate(); });
}

TEST(GenerationConfig, EveryNameCanBeSet) {
  GenerationConfig config;
  apply(config, {{"max_new_tokens", std::int64_t{7}},
                 {"max_length", std::int64_t{99}},
                 {"do_sample", true},
                 {"temperature", 0.5},
                 {"top_k", std::int64_t{0}},
                 {"top_p", std::int64_t{1}},
                 {"early_stopping", std::string("never")},
                 {"stop_strings", std::string("\n")},
                 {"stop_token_ids", Ids{3, 4}},
                 {"truncate_prompt", std::string("left")},
                 {"seed", std::int64_t{12}},
                 {"choices", Texts{"yes", "no"}}});
  EXPECT_EQ(config.max_new_tokens, 7);
  EXPECT_EQ(config.max_length, 99);
  EXPECT_TRUE(config.do_sample);
  EXPECT_EQ(config.temperature, 0.5);
  EXPECT_EQ(config.top_p, 1.0);
  EXPECT_EQ(config.early_stopping, EarlyStopping::never);
  EXPECT_THAT(config.stop_strings, ElementsAre("\n"));
  EXPECT_THAT(config.stop_token_ids, ElementsAre(3, 4));
  EXPECT_EQ(config.truncate_prompt, TruncatePrompt::left);
  EXPECT_EQ(config.seed, 12u);
  EXPECT_EQ(to_json(GenerationConfig{}), "{}");
  EXPECT_EQ(to_json(config),
            R"({"choices":["yes","no"],"do_sample":true,"early_stopping":"never","max_length":99,)"
            R"("max_new_tokens":7,"seed":12,"stop_strings":["\n"],"stop_token_ids":[3,4],"temperature":0.5,)"
            R"("top_k":0,"truncate_prompt":"left"})");
}

TEST(GenerationConfig, RangesAreNamed) {
  EXPECT_THAT(refusal("max_new_tokens", std::int64_t{0}),
              HasSubstr("'max_new_tokens' must be an integer from 1 to 2147483647"));
  EXPECT_THAT(refusal("max_new_tokens", std::int64_t{1} << 40), HasSubstr("to 2147483647"));
  EXPECT_THAT(refusal("max_new_tokens", 2.0), HasSubstr("integer"));
  EXPECT_THAT(refusal("temperature", -0.5), HasSubstr("a number from 0"));
  EXPECT_THAT(refusal("temperature", std::nan("")), HasSubstr("temperature"));
  EXPECT_THAT(refusal("temperature", std::string("hot")), HasSubstr("temperature"));
  EXPECT_THAT(refusal("top_p", 1.5), HasSubstr("a number from 0 to 1"));
  EXPECT_THAT(refusal("min_p", -0.1), HasSubstr("from 0 to 1"));
  EXPECT_THAT(refusal("typical_p", 1.1), HasSubstr("typical_p"));
  EXPECT_THAT(refusal("repetition_penalty", std::int64_t{0}), HasSubstr("above 0"));
  EXPECT_THAT(refusal("presence_penalty", 2.5), HasSubstr("from -2 to 2"));
  EXPECT_THAT(refusal("top_k", std::int64_t{-1}), HasSubstr("from 0 to "));
  EXPECT_THAT(refusal("num_beams", std::int64_t{2000}), HasSubstr("from 1 to 1024"));
  EXPECT_THAT(refusal("do_sample", std::int64_t{1}), HasSubstr("true or false"));
  EXPECT_THAT(refusal("seed", std::int64_t{-1}), HasSubstr("from 0 to "));
  EXPECT_THAT(refusal("stop_strings", Texts{"a", ""}), HasSubstr("without empty strings"));
  EXPECT_THAT(refusal("stop_token_ids", Ids{-1}), HasSubstr("token ids"));
  EXPECT_THAT(refusal("early_stopping", std::string("maybe")), HasSubstr("never"));
  EXPECT_THAT(refusal("truncate_prompt", std::string("right")), HasSubstr("left"));
  EXPECT_THAT(refusal("top_logprobs", std::int64_t{101}), HasSubstr("from 0 to 100"));
}

TEST(GenerationConfig, UnknownNamesGetASuggestion) {
  GenerationConfig config;
  const auto unknown = [&](const char* name) {
    return message_of<GenerationError>([&] { set(config, name, std::int64_t{1}); });
  };
  EXPECT_THAT(unknown("max_new_token"), HasSubstr("did you mean 'max_new_tokens'"));
  EXPECT_THAT(unknown("topk"), HasSubstr("did you mean 'top_k'"));
  EXPECT_EQ(unknown("entirely_different_thing_altogether"),
            "unknown generation setting 'entirely_different_thing_altogether'");
}

TEST(GenerationConfig, ContradictionsAreErrors) {
  const auto beams = [](std::int64_t n) { return std::pair<std::string, GenerationValue>{"num_beams", n}; };
  const auto returned = [](std::int64_t n) {
    return std::pair<std::string, GenerationValue>{"num_return_sequences", n};
  };
  EXPECT_EQ(contradiction({}), "");
  EXPECT_EQ(contradiction({beams(4), returned(4)}), "");
  EXPECT_THAT(contradiction({beams(4), returned(5)}), HasSubstr("at most num_beams"));
  EXPECT_THAT(contradiction({beams(2), {"do_sample", true}}), HasSubstr("cannot be combined"));
  EXPECT_THAT(contradiction({returned(2)}), HasSubstr("needs do_sample or num_beams"));
  EXPECT_EQ(contradiction({returned(2), {"do_sample", true}}), "");
  for (const char* name : {"temperature", "top_p", "typical_p"}) {
    EXPECT_EQ(contradiction({{name, 0.0}}), "") << name;  // greedy: without effect
    EXPECT_THAT(contradiction({{name, 0.0}, {"do_sample", true}}), HasSubstr(name));
  }
  EXPECT_THAT(contradiction({{"min_new_tokens", std::int64_t{9}}, {"max_new_tokens", std::int64_t{8}}}),
              HasSubstr("min_new_tokens"));
  EXPECT_THAT(contradiction({{"min_length", std::int64_t{9}}, {"max_length", std::int64_t{8}}}),
              HasSubstr("min_length"));
  EXPECT_THAT(contradiction({{"choices", Texts{"a"}}, beams(2)}), HasSubstr("choices"));
  EXPECT_THAT(contradiction({{"top_logprobs", std::int64_t{2}}}), HasSubstr("logprobs: true"));
}

TEST(GenerationConfig, FaultsCanBeSaidInTheWordsOfTheirSource) {
  GenerationConfig config;
  set(config, "num_return_sequences", std::int64_t{2});
  try {
    config.validate();
    FAIL() << "greedy answers are all the same";
  } catch (const GenerationError& e) {
    EXPECT_EQ(e.fault(), GenerationError::Fault::contradiction);
    EXPECT_EQ(e.name(), "num_return_sequences");
    EXPECT_EQ(e.message({{"num_return_sequences", "n"}, {"do_sample", "a temperature"}}),
              "n above 1 needs a temperature or num_beams: greedy answers are all the same");
  }
}

TEST(GenerationConfig, RealNumbersAreWrittenAsContentKeysHaveThem) {
  GenerationConfig config;
  apply(config,
        {{"temperature", 1e9}, {"top_p", 0.1}, {"length_penalty", std::int64_t{-2}}, {"min_p", 1e-7}});
  EXPECT_EQ(to_json(config),
            R"({"length_penalty":-2.0,"min_p":1e-07,"temperature":1000000000.0,"top_p":0.1})");
}

}  // namespace
}  // namespace mmbatch
