#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace mmbatch {

/// The bodies that answer the requests of a batch file, each in the form of its `url`.

/// What all answers to a request have in common.
struct AnswerHead {
  std::string digits;        // tells the outcome from others; for ids
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string fingerprint;
  std::string request;  // JSON of Item::request; empty: a chat completion
  long long prompt_tokens = 0;
};

/// One sequence of an item.
struct AnswerRow {
  std::int64_t sequence = 0;
  std::string_view answer = {};
  std::string_view finish_reason = {};
  std::string_view details = {};    // JSON, as the database has it
  std::string_view reasoning = {};  // empty: none
  std::string_view vector = {};     // the bytes of an embedding; empty: none
  long long answer_tokens = 0;
  long long reasoning_tokens = 0;
  bool thinks = false;  // thoughts were counted
};

/// Takes an item's rows, and gives the body of its response as JSON. Not thread-safe.
class AnswerForm {
 public:
  explicit AnswerForm(AnswerHead head) : head_(std::move(head)) {}
  virtual ~AnswerForm() = default;
  virtual void add(const AnswerRow& row) = 0;
  virtual std::string body() const = 0;

 protected:
  /// Adds to the counts that a `usage` has.
  void count(const AnswerRow& row);
  /// `choices` and `usage` of completions.
  std::string completion(std::string_view id_prefix, std::string_view object) const;

  AnswerHead head_;
  std::string parts_;  // what the rows made, separated by commas
  long long completion_tokens_ = 0, reasoning_tokens_ = 0;
  bool thinks_ = false;
};

/// The form that a request of the item's task asks for.
std::unique_ptr<AnswerForm> form_of(AnswerHead head, std::string_view task);

std::unique_ptr<AnswerForm> chat_form(AnswerHead head);
std::unique_ptr<AnswerForm> completion_form(AnswerHead head);
std::unique_ptr<AnswerForm> response_form(AnswerHead head);
enum class VectorText { numbers, base64 };
std::unique_ptr<AnswerForm> embedding_form(AnswerHead head, VectorText text);

}  // namespace mmbatch
