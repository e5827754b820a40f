#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "jobs/batch/forms/answer_form.h"
#include "jobs/results/result_rows.h"

namespace mmbatch {
namespace {

using nlohmann::json;

AnswerHead head(const std::string& request) {
  return {.digits = "00ff",
          .created = 5,
          .model = "m",
          .fingerprint = "fp_1",
          .request = request,
          .prompt_tokens = 7};
}

json body_of(const std::string& request, const std::vector<AnswerRow>& rows,
             std::string_view task = "generate") {
  const auto form = form_of(head(request), task);
  for (const AnswerRow& row : rows) form->add(row);
  return json::parse(form->body());
}

constexpr const char* kDetails =
    R"({"tokens":"text","logprobs":[{"token":"bl","id":7,"logprob":-0.5},{"token":"ü","id":8,"logprob":-1}],"top_logprobs":[[{"token":"c","id":9,"logprob":-2}]]})";

TEST(Forms, OfResponses) {
  const json body = body_of(R"({"url":"/v1/responses"})", {{.answer = "blü",
                                                            .finish_reason = "stop",
                                                            .details = kDetails,
                                                            .reasoning = "hm",
                                                            .answer_tokens = 2,
                                                            .reasoning_tokens = 3,
                                                            .thinks = true}});
  EXPECT_EQ(body["object"], "response");
  EXPECT_EQ(body["status"], "completed");
  EXPECT_EQ(body["output"][0]["content"][0]["text"], "hm");
  const json& message = body["output"][1];
  EXPECT_EQ(message["role"], "assistant");
  EXPECT_EQ(message["content"][0]["type"], "output_text");
  EXPECT_EQ(message["content"][0]["text"], "blü");
  EXPECT_EQ(message["content"][0]["logprobs"][0]["top_logprobs"][0]["token"], "c");
  EXPECT_EQ(body["usage"]["input_tokens"], 7);
  EXPECT_EQ(body["usage"]["output_tokens"], 5);
  EXPECT_EQ(body["usage"]["output_tokens_details"]["reasoning_tokens"], 3);
}

TEST(Forms, AResponseThatWasCutSaysSo) {
  const json body = body_of(R"({"url":"/v1/responses"})", {{.answer = "bl", .finish_reason = "length"}});
  EXPECT_EQ(body["status"], "incomplete");
  EXPECT_EQ(body["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(body["output"][0]["status"], "incomplete");
}

TEST(Forms, OfCompletions) {
  const json body =
      body_of(R"({"url":"/v1/completions"})",
              {{.answer = "blü", .finish_reason = "stop_string", .details = kDetails, .answer_tokens = 2},
               {.sequence = 1, .answer = "red", .finish_reason = "length", .answer_tokens = 1}});
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_EQ(body["choices"][0]["text"], "blü");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(body["choices"][0]["logprobs"]["tokens"], json({"bl", "ü"}));
  EXPECT_EQ(body["choices"][0]["logprobs"]["text_offset"], json({0, 2}));
  EXPECT_EQ(body["choices"][0]["logprobs"]["top_logprobs"][0]["c"], -2);
  EXPECT_EQ(body["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(body["choices"][1]["logprobs"], nullptr);
  EXPECT_EQ(body["usage"]["total_tokens"], 10);
}

TEST(Forms, OfEmbeddings) {
  const std::string bytes = embedding_bytes({0.5F, -1.F});
  const json numbers = body_of("", {{.vector = bytes}}, "embed");
  EXPECT_EQ(numbers["object"], "list");
  EXPECT_EQ(numbers["data"][0]["embedding"], json({0.5, -1}));
  const json packed =
      body_of(R"({"url":"/v1/embeddings","encoding_format":"base64"})", {{.vector = bytes}}, "embed");
  EXPECT_EQ(packed["data"][0]["embedding"], "AAAAPwAAgL8=");
}

TEST(Forms, WhatADatabaseHoldsMayBeAnything) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const json body =
      body_of(R"({"url":5,"more":)" + deep + "}",
              {{.answer = "a",
                .finish_reason = "stop",
                .details = R"({"tokens":"text","logprobs":[{"token":"a","logprob":)" + deep + "}]}"}});
  EXPECT_EQ(body["choices"][0]["message"]["content"], "a");
  EXPECT_EQ(body["choices"][0]["logprobs"], nullptr);
}

}  // namespace
}  // namespace mmbatch
