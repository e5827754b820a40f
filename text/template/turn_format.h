#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/checkpoint_templates.h"
#include "text/template/jinja/chat_template.h"

namespace mmbatch {

enum class Role { system, user, assistant, developer, tool };
std::string_view to_string(Role role);
/// None for any other name.
std::optional<Role> find_role(std::string_view name);

/// A message of a dialogue, as a template gets it.
struct Turn {
  Role role = Role::user;
  std::string content;
  std::size_t images = 0;  // this many of the prompt's images come before the text
  std::string parts = {};  // JSON list of {type: text, text} and {type: image}, where images and text stand
                           // otherwise; `content` then is its text alone
  std::string other = {};  // JSON object of further keys, such as tool_calls and reasoning_content
};

/// Turn::parts of a video and a text behind it.
std::string video_parts(std::string_view text);
/// Turn::parts with a video in place of so many images in a row.
std::string video_in_parts(const std::string& parts, std::size_t images);

/// What a template sees beside the messages.
struct RenderOptions {
  std::string image_mark = "<image>";  // what stands for one image in a text
  std::string special_tokens = R"({"bos_token": "<s>", "eos_token": "</s>"})";  // read_template_tokens()
  std::string variables = "{}";                                                 // chat_template_kwargs
  std::string tools = {};  // JSON list of tool definitions; empty: none
  std::tm now = {};        // what strftime_now says
};

/// How a dialogue is written for a model that was trained on dialogues: a Jinja template, which is the
/// checkpoint's, a file's, or one of those that the program brings. Const and thread-safe; cheap to copy.
class TurnFormat {
 public:
  /// The names of the built-in formats:
  ///   plain                         the text as it stands
  ///   line                          text and a newline, images right before it
  ///   user_assistant                USER: <image>\n… ASSISTANT:
  ///   user_assistant_curious_human  the same behind a system line about a curious human, or another one
  ///   user_assistant_curious_user   the same about a curious user
  ///   inst                          [INST] <image>\n… [/INST]; a system text before the first question
  ///   inst_sys                      … with the system text between <<SYS>> marks inside the first turn
  ///   sys_inst                      … with those marks before the first turn
  ///   start_of_turn                 <start_of_turn>user\n…<end_of_turn>\n<start_of_turn>model\n
  ///   pipe_roles                    <|user|>\n…</s>\n<|assistant|>\n
  static std::vector<std::string> names();
  /// The same in one text, "plain, line, …".
  static std::string names_text();
  /// @throws UsageError that names the known ones
  static TurnFormat named(std::string_view name);

  /// A manifest's pattern: one user turn with {question}, and, where wanted, {image} and {system}. {image}
  /// with a newline right behind it is repeated for every image; a further turn follows after the answer and
  /// the end of sequence.
  /// @throws UsageError for another placeholder, and without {question}
  static TurnFormat from_pattern(std::string_view pattern);

  /// A chat template; `tool_use`, where there is one, counts for dialogues with tools.
  /// @throws ModelError that names file, line and column of what is broken or not known
  static TurnFormat from_template(const CheckpointTemplate& chat,
                                  const CheckpointTemplate* tool_use = nullptr);

  /// The prompt: all turns, up to where the model is to answer. A text that holds the mark of images itself
  /// gets none added. Built-in formats and patterns leave BOS to the tokenizer.
  /// @throws ItemError invalid_item for turns in an order that a built-in format or a pattern does not have,
  /// invalid_value with what a template raised, or why it cannot be rendered
  std::string render(std::span<const Turn> turns, const RenderOptions& options) const;

  /// Of a built-in format; "custom" of a pattern; "chat_template".
  const std::string& name() const { return name_; }
  /// Whether it is a chat template, which writes special tokens itself.
  bool is_template() const { return origin_ == Origin::chat_template; }
  /// What tells it from others in content keys of items of one question, and of longer dialogues. A chat
  /// template that writes what a built-in format writes has that one's name: as such it was stored before
  /// templates were interpreted.
  const std::string& key(std::size_t turns) const { return turns > 1 ? dialogue_key_ : question_key_; }
  /// The key of a template that is none of the checkpoint's, whose files the model's fingerprint covers.
  void set_key(const std::string& key) { question_key_ = dialogue_key_ = key; }
  /// Whether the template asks for the time.
  bool reads_clock() const { return reads("strftime_now"); }
  /// Whether the template uses a name at all.
  bool reads(std::string_view name) const { return source_.find(name) != std::string::npos; }

 private:
  enum class Origin { built_in, pattern, chat_template };

  TurnFormat(Origin origin, std::string name, ChatTemplate chat);
  void try_out();
  void find_key();

  Origin origin_;
  std::string name_;
  std::string question_key_, dialogue_key_;
  ChatTemplate chat_;
  std::optional<ChatTemplate> tool_use_;
  std::string source_;  // of a chat template
  // What the template takes as content.
  bool takes_text_ = true;
  bool takes_parts_ = true;
  bool takes_images_ = true;
};

}  // namespace mmbatch
